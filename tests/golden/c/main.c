/* Runs the network on samples from a file and writes what it gave to another.
 *
 *     network [-r] INPUT OUTPUT       -r: also every population's spikes and membranes
 *
 * Both files are little-endian; numbers are 32 bits and unsigned where nothing else is said.
 * INPUT   "SNNCCIN1", samples, steps, size, bytes of a value;
 *         per sample its length (at most `steps`) and so many frames of `size` values.
 * OUTPUT  "SNNCCOU1", records; per record its kind (0 output, 1 spikes, 2 membrane), bytes of a value, whether it is
 *         signed, size, and the step at which its first value is due;
 *         per sample, for each step, the values of every record.
 * A sample takes min(length + SNN_TAIL, steps + SNN_LAST_START) steps.
 * Exit status: 0 done; 2 a bad command line, or a file that cannot be read, is damaged, or cannot be written.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

#define SNN_TAIL 0u
#define SNN_LAST_START 0u

static void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    exit(2);
}

typedef struct {
    const char *path;
    FILE *file;
} file_reader;

typedef struct {
    const char *path;
    FILE *file;
    size_t used;
    unsigned char buffer[1 << 16];
} file_writer;

static void open_reader(file_reader *in, const char *path)
{
    in->path = path;
    in->file = fopen(path, "rb");
    if (!in->file)
        fail("%s: cannot be read\n", path);
}

static void read_bytes(file_reader *in, void *to, size_t count)
{
    if (fread(to, 1, count, in->file) != count)
        fail("%s: ends too early\n", in->path);
}

static void expect_bytes(file_reader *in, const char *magic, size_t count)
{
    char found[8];
    read_bytes(in, found, count);
    if (memcmp(found, magic, count))
        fail("%s: does not begin with %s\n", in->path, magic);
}

static void expect_end(file_reader *in)
{
    if (fgetc(in->file) != EOF)
        fail("%s: goes on after its end\n", in->path);
    fclose(in->file);
}

static uint64_t read_number(file_reader *in, unsigned bytes)
{
    unsigned char raw[8];
    uint64_t value = 0;
    read_bytes(in, raw, bytes);
    for (unsigned k = 0; k < bytes; k++)
        value |= (uint64_t)raw[k] << 8 * k;
    return value;
}

static void read_frame(file_reader *in, snn_input *x)
{
    read_bytes(in, x, SNN_INPUTS);
    for (uint32_t n = 0; n < SNN_INPUTS; n++)
        if (x[n] > SNN_INPUT_HIGHEST)
            fail("%s: a value is not within %ld..%ld\n", in->path, (long)SNN_INPUT_LOWEST, (long)SNN_INPUT_HIGHEST);
}

static void open_writer(file_writer *out, const char *path)
{
    out->path = path;
    out->file = fopen(path, "wb");
    if (!out->file)
        fail("%s: cannot be written\n", path);
}

static void flush_writer(file_writer *out)
{
    if (fwrite(out->buffer, 1, out->used, out->file) != out->used)
        fail("%s: cannot be written\n", out->path);
    out->used = 0;
}

static void close_writer(file_writer *out)
{
    flush_writer(out);
    if (fclose(out->file))
        fail("%s: cannot be written\n", out->path);
}

static void write_number(file_writer *out, uint64_t value, unsigned bytes)
{
    if (out->used + 8 > sizeof out->buffer)
        flush_writer(out);
    for (unsigned k = 0; k < bytes; k++)
        out->buffer[out->used++] = (unsigned char)(value >> 8 * k);
}

static void write_bytes(file_writer *out, const char *text, size_t count)
{
    for (size_t k = 0; k < count; k++)
        write_number(out, (unsigned char)text[k], 1);
}

static void write_record(file_writer *out, uint32_t kind, uint32_t bytes, uint32_t is_signed, uint32_t size, uint32_t due)
{
    const uint32_t numbers[5] = {kind, bytes, is_signed, size, due};
    for (unsigned k = 0; k < 5; k++)
        write_number(out, numbers[k], 4);
}

/* Values in row-major order; in memory the channel is the faster axis. */
static void write_i16(file_writer *out, const int16_t *values, uint32_t channels, uint32_t positions)
{
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t p = 0; p < positions; p++)
            write_number(out, (uint64_t)values[(size_t)p * channels + c], 2);
}

/* Values in row-major order; in memory the channel is the faster axis. */
static void write_u8(file_writer *out, const uint8_t *values, uint32_t channels, uint32_t positions)
{
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t p = 0; p < positions; p++)
            write_number(out, (uint64_t)values[(size_t)p * channels + c], 1);
}

static void write_header(file_writer *out, bool record)
{
    const uint32_t always = 1, all = 5;
    write_bytes(out, "SNNCCOU1", 8);
    write_number(out, record ? all : always, 4);
    write_record(out, 0, 2, 1, 3, 0); /* output scores */
    if (record) write_record(out, 1, 1, 0, 6, 0); /* spikes hidden */
    if (record) write_record(out, 2, 2, 1, 6, 0); /* membrane hidden */
    if (record) write_record(out, 1, 1, 0, 3, 0); /* spikes readout */
    if (record) write_record(out, 2, 2, 1, 3, 0); /* membrane readout */
}

static void write_frame(file_writer *out, const snn_state *s, bool record)
{
    write_i16(out, snn_output_scores(s), 1, 3);
    if (record) write_u8(out, s->hidden_spikes[s->hidden_now], 1, 6);
    if (record) write_i16(out, s->hidden_v, 1, 6);
    if (record) write_u8(out, s->readout_spikes, 1, 3);
    if (record) write_i16(out, s->readout_v, 1, 3);
}

static void run_sample(file_reader *in, file_writer *out, uint32_t steps, bool record)
{
    static snn_state state;
    static snn_input x[SNN_INPUTS];
    const uint32_t length = (uint32_t)read_number(in, 4);
    if (length > steps)
        fail("%s: a sample is %lu steps long, more than the file's %lu\n", in->path, (unsigned long)length, (unsigned long)steps);
    snn_reset(&state);
    uint32_t total = length + SNN_TAIL;
    if (total > steps + SNN_LAST_START)
        total = steps + SNN_LAST_START;
    for (uint32_t now = 0; now < total; now++) {
        if (now < length) {
            read_frame(in, x);
            snn_step(&state, x);
        }
        write_frame(out, &state, record);
    }
}

int main(int argc, char **argv)
{
    static file_reader in;
    static file_writer out;
    bool record = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "-r"))
            record = true;
        else if (!strcmp(argv[at], "-w"))
            fail("-w: this network has no weights.bin; its weights are in weights.c\n");
        else
            break;
    }
    if (argc - at != 2)
        fail("usage: %s [-r] INPUT OUTPUT\n", argv[0]);
    open_reader(&in, argv[at]);
    expect_bytes(&in, "SNNCCIN1", 8);
    const uint32_t samples = (uint32_t)read_number(&in, 4), steps = (uint32_t)read_number(&in, 4);
    const uint32_t size = (uint32_t)read_number(&in, 4), bytes = (uint32_t)read_number(&in, 4);
    if (size != SNN_INPUTS || bytes != sizeof(snn_input) || steps > 0x7fffffff)
        fail("%s: this network takes %lu values of %lu bytes a step\n", in.path, (unsigned long)SNN_INPUTS, (unsigned long)sizeof(snn_input));
    open_writer(&out, argv[at + 1]);
    write_header(&out, record);
    for (uint32_t sample = 0; sample < samples; sample++)
        run_sample(&in, &out, steps, record);
    expect_end(&in);
    close_writer(&out);
    return 0;
}
