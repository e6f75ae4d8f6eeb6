/* The constant arrays of the network; weights lie in the order in which their kernels read them. */
#include "weights.h"

/* [source][target] */
const int8_t snn_fc1_weight[48] = {
    65, -35, 49, 14, 62, 82, -29, -28, 55, 15, -4, -40, -17, 3, -36, 46, 1, -31, -10, 16, -26, 36, 44, 86, -17, 40,
    18, -18, 44, 82, 64, 22, 10, 55, 50, -2, 73, -6, 75, 58, 73, -22, 35, -20, 27, 84, -2, 0
};

/* [source][target] */
const int8_t snn_recurrent_weight[36] = {
    -35, -16, 27, 27, -8, 44, 75, 60, 8, 81, -2, -12, 46, 21, -8, 80, 23, 10, 36, -37, -29, -14, 56, 67, -9, -7,
    39, 39, -2, 69, 21, 51, 45, 41, 53, 45
};

/* [source][target] */
const int8_t snn_fc2_weight[18] = {
    -40, 84, 37, 48, 58, 70, -11, 2, 45, 66, 74, 11, 78, 9, 77, 15, -27, 22
};
