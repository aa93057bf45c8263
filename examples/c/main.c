/* Classifies a photo with the network of clothing-int8.c, which mobilenet export runs/clothing --format c wrote.
 *
 *     cc -O3 -o classify main.c clothing-int8.c
 *     ./classify photo.ppm
 *
 * The photo is a binary PPM of the network's size; ImageMagick makes one: convert photo.jpg -resize '128x128!' photo.ppm
 */

#include <stdio.h>

#include "clothing-int8.h"

#define SIDE CLOTHING_INT8_RESOLUTION
#define CLASSES CLOTHING_INT8_PROBABILITIES

static const char *const labels[] = CLOTHING_INT8_LABELS;

static int read_photo(const char *path, unsigned char *pixels)
{
    int width = 0, height = 0, most = 0, right = 0;
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s cannot be read\n", path);
        return 0;
    }
    if (fscanf(file, "P6 %d %d %d", &width, &height, &most) != 3 || most != 255 || fgetc(file) == EOF)
        fprintf(stderr, "%s is not a binary PPM of 8 bits\n", path);
    else if (width != SIDE || height != SIDE)
        fprintf(stderr, "%s has %d x %d pixels; the network takes %d x %d\n", path, width, height, SIDE, SIDE);
    else if (fread(pixels, 3, SIDE * SIDE, file) != SIDE * SIDE)
        fprintf(stderr, "%s is truncated\n", path);
    else
        right = 1;
    fclose(file);
    return right;
}

int main(int argc, char **argv)
{
    static unsigned char pixels[SIDE * SIDE * 3];
    static float probabilities[CLASSES];
    int best = 0, i;
    if (argc != 2) {
        fprintf(stderr, "usage: %s photo.ppm\n", argv[0]);
        return 2;
    }
    if (!read_photo(argv[1], pixels))
        return 2;
    if (clothing_int8_run(pixels, probabilities) != 0)
        return 1;
    for (i = 1; i < CLASSES; i++)
        if (probabilities[i] > probabilities[best])
            best = i;
    printf("%s %.1f%%\n", labels[best], 100.0 * probabilities[best]);
    return 0;
}
