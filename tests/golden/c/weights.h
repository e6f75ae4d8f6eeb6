/* The constant arrays of the network. */
#ifndef SNN_WEIGHTS_H
#define SNN_WEIGHTS_H

#include <stdint.h>
extern const int8_t snn_fc1_weight[48];
extern const int8_t snn_recurrent_weight[36];
extern const int8_t snn_fc2_weight[18];

#endif
