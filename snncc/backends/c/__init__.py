"""The C backend: a C99 program with constant weights, no heap and no floats."""
