/* Plain C. */

INLINE value_t bounded(float sum, const work_t *w)
{
    sum = sum < w->low ? w->low : sum;
    return sum > w->high ? w->high : sum;
}

#if VECTORS
typedef float lanes_t __attribute__((vector_size(64)));

INLINE void finish_lanes(const work_t *w, int block, const lanes_t *lanes, value_t *out)
{
    float sums[BLOCK];
    int i;
    (void)block;
    memcpy(sums, lanes, sizeof sums);
    for (i = 0; i < BLOCK; i++)
        out[i] = bounded(sums[i], w);
}

#define TOGETHER 4

/* sums[i] += the products of value g of from[i] for each channel of a block, of m pixels. */
INLINE void add_groups(lanes_t *sums, const int m, const value_t *const *from, int g, const weight_t *weights)
{
    lanes_t by;
    int i;
    memcpy(&by, weights, sizeof by);
    UNROLLED for (i = 0; i < m; i++)
        sums[i] += by * from[i][g];
}

INLINE void add_products(lanes_t *sums, const value_t *values, const weight_t *weights)
{
    lanes_t a, b;
    memcpy(&a, values, sizeof a);
    memcpy(&b, weights, sizeof b);
    *sums += a * b;
}
#else
UNUSED static void product_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    const int depth = w->rows * w->groups * BLOCK;
    float sums[BLOCK];
    int r, x, block, k, g, i;
    for (r = 0; r < count; r++)
        for (x = 0; x < w->pixels; x++)
            for (block = 0; block < w->blocks; block++) {
                const float *RESTRICT weights = w->weights + (size_t)block * depth;
                memcpy(sums, w->bias + block * BLOCK, sizeof sums);
                for (k = 0; k < w->rows; k++) {
                    const float *RESTRICT a = in[r * w->stride + k] + x * w->stride * w->cell;
                    for (g = 0; g < w->groups; g++, weights += BLOCK)
                        for (i = 0; i < BLOCK; i++)
                            sums[i] += a[g] * weights[i];
                }
                for (i = 0; i < LANES(w, block); i++)
                    out[r][x * w->out + block * BLOCK + i] = bounded(sums[i], w);
            }
}

UNUSED static void depthwise_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    float sums[BLOCK];
    int r, x, block, k, t, i;
    for (block = 0; block < w->blocks; block++)
        for (r = 0; r < count; r++)
            for (x = 0; x < w->pixels; x++) {
                const float *RESTRICT weights = w->weights + (size_t)block * w->rows * w->width * BLOCK;
                memcpy(sums, w->bias + block * BLOCK, sizeof sums);
                for (k = 0; k < w->rows; k++) {
                    const float *row = in[r * w->stride + k];
                    for (t = 0; t < w->width; t++, weights += BLOCK) {
                        const int at = column(w, row, x, t);
                        if (at >= 0)
                            for (i = 0; i < LANES(w, block); i++)
                                sums[i] += row[at * w->cell + block * BLOCK + i] * weights[i];
                    }
                }
                for (i = 0; i < LANES(w, block); i++)
                    out[r][x * w->out + block * BLOCK + i] = bounded(sums[i], w);
            }
}

#endif

INLINE void average(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    int block, r, x, i;
    for (block = 0; block < w->blocks; block++) {
        float sums[BLOCK] = {0};
        for (r = 0; r < height; r++)
            for (x = 0; x < w->pixels; x++)
                for (i = 0; i < LANES(w, block); i++)
                    sums[i] += in[r][x * w->cell + block * BLOCK + i];
        for (i = 0; i < LANES(w, block); i++)
            out[block * BLOCK + i] = sums[i] / (float)(height * w->pixels);
    }
}

static void average_plain(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    average(w, in, out, height);
}

INLINE float real(value_t value, const output_t *o)
{
    (void)o;
    return value;
}

INLINE void fill(value_t *out, int count, const layer_t *l)
{
    int i;
    (void)l;
    for (i = 0; i < count; i++)
        out[i] = 0.0f;
}

INLINE void read_pixels(value_t *out, const uint8_t *rgb, int pixels)
{
    int i, c;
    for (i = 0; i < pixels; i++)
        for (c = 0; c < 3; c++)
            out[3 * i + c] = (float)rgb[3 * i + c] - mean[c];
}
