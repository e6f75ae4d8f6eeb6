/* Counts the instructions of a network's steps in QEMU: by population, and by synapse within it. A plugin for TCG.
 *
 *     qemu-system-... -plugin counter.so,regions=FILE,counts=FILE
 *
 * A line of `regions` is a function: its address and size (hexadecimal), a letter, a number.
 *     t  a step begins       p  population `number` begins       k  the next synapse of the population begins
 *     n  its neurons begin   x  the step is over                  o  any other function
 *     d  what comes after a step, and belongs to it
 *     f  what comes after a sample: it belongs to no step
 * `counts` gets the lines "steps N", "total N", "worst N" (of one step) and "at POPULATION SLOT N", slot 0 being what
 * comes before a population's first synapse, 1, 2, ... the synapses, and 31 the neurons.
 *
 * The declarations are those of version 1 and 2 of the interface, as QEMU documents it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void (*translated)(plugin_id, struct qemu_plugin_tb *);
typedef void (*executed)(unsigned, void *);
typedef void (*ended)(plugin_id, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed, int, void *);
void qemu_plugin_register_atexit_cb(plugin_id, ended, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);

#ifndef API
#define API 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = API;

enum { SLOTS = 32, NEURONS = 31 };

typedef struct {
    uint64_t begin, size;
    char kind;
    unsigned number;
} region;

typedef struct {
    const region *at;
    uint64_t instructions;
    int entry;
} block;

static region *regions;
static size_t known, populations = 1;
static uint64_t *counts, steps, total, here, worst;
static unsigned population, slot, synapse;
static int inside, between; /* of a step or the end of a sample, and whether it is the latter */
static const char *counts_path;

static const region *region_of(uint64_t address)
{
    for (size_t k = 0; k < known; k++)
        if (address - regions[k].begin < regions[k].size)
            return &regions[k];
    return NULL;
}

static void enter(const region *at)
{
    if (at->kind == 't') {
        worst = here > worst ? here : worst;
        here = 0, inside = 1, between = 0, population = 0, slot = 0;
        steps++;
    } else if (at->kind == 'p') {
        population = at->number, slot = synapse = 0, inside = 1;
    } else if (at->kind == 'k') {
        slot = synapse < NEURONS - 1 ? ++synapse : synapse;
    } else if (at->kind == 'n') {
        slot = NEURONS;
    } else if (at->kind == 'd' || at->kind == 'f') {
        inside = 1, between = at->kind == 'f', population = 0, slot = 0;
    }
}

static void on_executed(unsigned cpu, void *data)
{
    const block *b = data;
    (void)cpu;
    if (b->entry)
        enter(b->at);
    if (b->at && b->at->kind == 'x')
        inside = 0;
    if (inside) {
        counts[(size_t)population * SLOTS + slot] += b->instructions;
        total += b->instructions, here += between ? 0 : b->instructions;
    }
}

static void on_translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    block *b = malloc(sizeof *b);
    (void)id;
    if (!b)
        abort();
    b->at = region_of(qemu_plugin_tb_vaddr(tb));
    b->instructions = qemu_plugin_tb_n_insns(tb);
    b->entry = b->at && b->at->begin == qemu_plugin_tb_vaddr(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_executed, 0, b);
}

static void on_end(plugin_id id, void *data)
{
    FILE *file = fopen(counts_path, "w");
    (void)id, (void)data;
    if (!file)
        return;
    worst = here > worst ? here : worst;
    fprintf(file, "steps %" PRIu64 "\ntotal %" PRIu64 "\nworst %" PRIu64 "\n", steps, total, worst);
    for (size_t k = 0; k < populations * SLOTS; k++)
        if (counts[k])
            fprintf(file, "at %zu %zu %" PRIu64 "\n", k / SLOTS, k % SLOTS, counts[k]);
    fclose(file);
}

static int read_regions(const char *path)
{
    FILE *file = fopen(path, "r");
    region next;
    if (!file)
        return -1;
    while (fscanf(file, "%" SCNx64 " %" SCNx64 " %c %u", &next.begin, &next.size, &next.kind, &next.number) == 4) {
        region *more = realloc(regions, (known + 1) * sizeof *more);
        if (!more)
            return -1;
        regions = more;
        regions[known++] = next;
        if (next.kind == 'p' && next.number >= populations)
            populations = next.number + 1;
    }
    fclose(file);
    counts = calloc(populations * SLOTS, sizeof *counts);
    return counts ? 0 : -1;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    const char *regions_path = NULL;
    (void)info;
    for (int k = 0; k < argc; k++) {
        if (!strncmp(argv[k], "regions=", 8))
            regions_path = argv[k] + 8;
        if (!strncmp(argv[k], "counts=", 7))
            counts_path = argv[k] + 7;
    }
    if (!regions_path || !counts_path || read_regions(regions_path))
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_end, NULL);
    return 0;
}
