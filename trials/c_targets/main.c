/* Runs the network on the photos of photos.h and prints the bits of its outputs, one line for each photo. */

#include <stdint.h>
#include <string.h>

#include "network.h"
#include "photos.h"

void put(const char *text);

static void put_bits(uint32_t bits)
{
    char text[10];
    int i;
    for (i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[bits >> (28 - 4 * i) & 15];
    text[8] = ' ';
    text[9] = 0;
    put(text);
}

int main(void)
{
    static float answer[NETWORK_ANSWER];
    int photo, i;
    for (photo = 0; photo < PHOTOS; photo++) {
        uint32_t bits;
        if (network_run((const uint8_t *)photos[photo], answer))
            return 1;
        for (i = 0; i < NETWORK_ANSWER; i++) {
            memcpy(&bits, &answer[i], 4);
            put_bits(bits);
        }
        put("\n");
    }
    return 0;
}
