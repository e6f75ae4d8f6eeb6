"""The backend for microcontrollers: C for devices with little flash and RAM, run in their emulators."""
