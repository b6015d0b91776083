/* SPDX-License-Identifier: BSD-2-Clause */
/* A model over a serial port: reads a frame a line from standard input, dt and the features, or an empty line where a
 * new sequence begins; prints the words of the outputs, the status and the cycles.
 *
 *   cc -std=c99 -O2 liquid.c liquid_link.c model.c example_posix.c -lm -o example && ./example /dev/ttyUSB1 < frames.txt
 */
#define _POSIX_C_SOURCE 200112L
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

static bool port_write(void *context, const uint8_t *bytes, size_t count) {
    const int port = *(const int *)context;
    while (count) {
        const ssize_t sent = write(port, bytes, count);
        if (sent <= 0) return false;
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

static int port_read(void *context, uint8_t *bytes, size_t capacity, uint32_t timeout_ms) {
    struct pollfd port = {.fd = *(const int *)context, .events = POLLIN};
    const int ready = poll(&port, 1, (int)timeout_ms);
    if (ready <= 0) return ready;
    const ssize_t count = read(port.fd, bytes, capacity);
    return count <= 0 ? -1 : (int)count;
}

static int fail(const char *what, liquid_result result) {
    fprintf(stderr, "%s: %s\n", what, liquid_strerror(result));
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: %s PORT < FRAMES\n", argv[0]), 2;
    int port = open(argv[1], O_RDWR | O_NOCTTY);
    struct termios settings;
    if (port < 0 || tcgetattr(port, &settings)) return perror(argv[1]), 1;
    settings.c_iflag = settings.c_oflag = settings.c_lflag = 0;
    settings.c_cflag = CS8 | CREAD | CLOCAL;
#ifdef B1000000
    cfsetispeed(&settings, B1000000);
    cfsetospeed(&settings, B1000000);
#endif
    if (tcsetattr(port, TCSANOW, &settings)) return perror(argv[1]), 1;

    static liquid_device device;
    const liquid_wire wire = {.context = &port, .write = port_write, .read = port_read};
    liquid_result result = liquid_open(&device, &wire, (uint16_t)time(NULL));
    if (result == LIQUID_OK) result = liquid_load(&device, &liquid_model);
    if (result != LIQUID_OK) return fail(argv[1], result);

    static float x[LIQUID_FRAME_WORDS], y[LIQUID_FRAME_WORDS];
    static char line[65536];
    while (fgets(line, sizeof line, stdin)) {
        char *at = line;
        const double dt = strtod(at, &at);
        if (at == line) {
            liquid_reset(&device);
            continue;
        }
        for (unsigned i = 0; i < liquid_model.inputs; i++) x[i] = strtof(at, &at);
        liquid_frame frame;
        result = liquid_step(&device, x, dt, y, &frame);
        if (result != LIQUID_OK) return fail(argv[1], result);
        for (unsigned i = 0; i < liquid_model.outputs; i++) printf("%.9g ", (double)y[i]);
        printf("%u %lu\n", (unsigned)frame.status, (unsigned long)frame.cycles);
        fflush(stdout);
    }
    close(port);
    return 0;
}
