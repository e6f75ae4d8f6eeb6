/* digits of a golden age
 *
 * layer        shape   synapses  bits     bytes  kernel or verdict
 * input        8                 1               input
 *   fc1        8 -> 6  48        8        48     add_rows_i8_i16
 *   recurrent  6 -> 6  36        8        36     add_rows_i8_i16
 * hidden       6                 v16/i16  42     v safe, i may overflow
 *   fc2        6 -> 3  18        8        18     add_rows_i8_i16
 * readout      3                 v16      9      v safe
 */
#include "network.h"

#include <string.h>

#include "weights.h"

/* The slot of a ring of `depth` steps that was written `steps` steps before the slot `now`. */
static uint32_t steps_back(uint32_t now, uint32_t steps, uint32_t depth)
{
    return now >= steps ? now - steps : now + depth - steps;
}

/* Lists the indices of the nonzero elements of x. */
static uint32_t find_events_u8(const uint8_t *restrict x, uint32_t size, uint8_t *restrict events)
{
    uint32_t count = 0;
    for (uint32_t j = 0; j < size; j++) {
        events[count] = (uint8_t)j;
        count += x[j] != 0;
    }
    return count;
}

/* Each event adds its row of weights; four rows at once, as the sums would else be loaded and stored for each. */
static void add_rows_i8_i16(int16_t *restrict acc, const int8_t *restrict weight, uint32_t targets,
    const uint8_t *restrict events, uint32_t count)
{
    uint32_t e = 0;
    for (; e + 4 <= count; e += 4) {
        const int8_t *restrict row0 = weight + (size_t)events[e + 0] * targets;
        const int8_t *restrict row1 = weight + (size_t)events[e + 1] * targets;
        const int8_t *restrict row2 = weight + (size_t)events[e + 2] * targets;
        const int8_t *restrict row3 = weight + (size_t)events[e + 3] * targets;
        for (uint32_t k = 0; k < targets; k++)
            acc[k] = (int16_t)(acc[k] + row0[k] + row1[k] + row2[k] + row3[k]);
    }
    for (; e < count; e++) {
        const int8_t *restrict row = weight + (size_t)events[e] * targets;
        for (uint32_t k = 0; k < targets; k++)
            acc[k] = (int16_t)(acc[k] + row[k]);
    }
}

/* x / 2^bits rounded down. C leaves >> of negative numbers to the compiler; the typedef refuses one that differs. */
typedef char snn_shift_is_arithmetic_i32[((int32_t)-1 >> 1) == -1 ? 1 : -1];
static inline int32_t shift_down_i32(int32_t x, int bits)
{
    return x >> bits;
}

/* x * factor / 2^bits, rounded to the nearest, ties up. */
static inline int32_t decay_nearest_i32(int32_t x, int32_t factor, int bits)
{
    return shift_down_i32(x * factor + ((int32_t)1 << bits >> 1), bits);
}

/* x * factor / 2^bits, rounded toward zero. */
static inline int32_t decay_zero_i32(int32_t x, int32_t factor, int bits)
{
    return x * factor / ((int32_t)1 << bits);
}

static inline int32_t saturate_i32(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* hidden */
typedef struct {
    uint32_t size;
    int32_t keep_v;
    int32_t keep_i;
    int32_t threshold;
    int32_t reset;
} cuba_lif_soft_parameters;

static void update_cuba_lif_soft(const cuba_lif_soft_parameters *p, const int16_t *restrict acc, int16_t *restrict v_state,
    int16_t *restrict i_state,
    uint8_t *restrict refractory,
    uint8_t *restrict spikes)
{
    const uint32_t size = p->size;
    const int32_t keep_v = p->keep_v;
    const int32_t keep_i = p->keep_i;
    const int32_t threshold = p->threshold;
    const int32_t reset = p->reset;
    for (uint32_t n = 0; n < size; n++) {
        const int32_t i = saturate_i32(decay_zero_i32(i_state[n], keep_i, 12) + (int32_t)acc[n], -200, 199);
        i_state[n] = (int16_t)i;
        int32_t v = decay_nearest_i32(v_state[n], keep_v, 12);
        v = v + i;
        v = refractory[n] > 0 ? v_state[n] : v;
        int32_t s = v >= threshold;
        s = refractory[n] > 0 ? 0 : s;
        v = v - reset * s;
        v_state[n] = (int16_t)v;
        refractory[n] = (uint8_t)(s > 0 ? 1 : refractory[n] - (refractory[n] > 0));
        spikes[n] = (uint8_t)s;
    }
}

/* readout */
typedef struct {
    uint32_t size;
    int32_t keep_v;
} integrator_parameters;

static void update_integrator(const integrator_parameters *p, const int16_t *restrict acc, int16_t *restrict v_state,
    uint8_t *restrict spikes)
{
    const uint32_t size = p->size;
    const int32_t keep_v = p->keep_v;
    for (uint32_t n = 0; n < size; n++) {
        const int32_t i = (int32_t)acc[n];
        int32_t v = decay_nearest_i32(v_state[n], keep_v, 12);
        v = v + i;
        const int32_t s = 0;
        v_state[n] = (int16_t)v;
        spikes[n] = (uint8_t)s;
    }
}

static const cuba_lif_soft_parameters hidden_parameters = {
    .size = 6, .keep_v = 3686, .keep_i = 3072, .threshold = 60, .reset = 60};
static const integrator_parameters readout_parameters = {
    .size = 3, .keep_v = 3686};

void snn_reset(snn_state *s)
{
    memset(s, 0, sizeof *s);
}

void snn_step(snn_state *s, const snn_input *x)
{
    uint32_t count;
    s->hidden_now = s->hidden_now + 1 < 2 ? s->hidden_now + 1 : 0;

    /* hidden: 6 neurons */
    memset(s->sums.hidden_acc, 0, sizeof s->sums.hidden_acc);
    count = find_events_u8(x, 8, s->events);
    add_rows_i8_i16(s->sums.hidden_acc, snn_fc1_weight, 6, s->events, count); /* fc1, from input */
    count = find_events_u8(s->hidden_spikes[steps_back(s->hidden_now, 1, 2)], 6, s->events);
    add_rows_i8_i16(s->sums.hidden_acc, snn_recurrent_weight, 6, s->events, count); /* recurrent, from hidden a step ago */
    update_cuba_lif_soft(&hidden_parameters, s->sums.hidden_acc, s->hidden_v, s->hidden_i, s->hidden_refractory, s->hidden_spikes[s->hidden_now]);

    /* readout: 3 neurons */
    memset(s->sums.readout_acc, 0, sizeof s->sums.readout_acc);
    count = find_events_u8(s->hidden_spikes[s->hidden_now], 6, s->events);
    add_rows_i8_i16(s->sums.readout_acc, snn_fc2_weight, 3, s->events, count); /* fc2, from hidden */
    update_integrator(&readout_parameters, s->sums.readout_acc, s->readout_v, s->readout_spikes);
}

const int16_t *snn_output_scores(const snn_state *s)
{
    return s->readout_v;
}
