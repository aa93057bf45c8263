/* From the planes of layers to outputs. */

UNUSED static float exponential(float x)
{
    /* 2^n * e^r with |r| <= log(2) / 2; the polynomial is that of Cephes. */
    float n, r, p;
    int32_t bits;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    n = x * 1.44269504088896341f + 12582912.0f;
    memcpy(&bits, &n, 4);
    n -= 12582912.0f;
    r = x - n * 0.693359375f + n * 2.12194440e-4f;
    p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r +
         1.6666665459e-1f) * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    bits = (bits - 0x4b400000 + 127) << 23;
    memcpy(&n, &bits, 4);
    return p * n;
}

UNUSED static void softmax(float *values, int count, int width)
{
    for (; count > 0; count -= width, values += width) {
        float most = values[0], sum = 0.0f, sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        int i;
        for (i = 1; i < width; i++)
            most = values[i] > most ? values[i] : most;
        for (i = 0; i < width; i++)
            values[i] = exponential(values[i] - most);
        for (i = 0; i < width; i++)
            sums[i % 4] += values[i];
        sum = 1.0f / (sums[0] + sums[1] + (sums[2] + sums[3]));
        for (i = 0; i < width; i++)
            values[i] *= sum;
    }
}

UNUSED static void sigmoid(float *values, int count, int width)
{
    int i;
    (void)width;
    for (i = 0; i < count; i++)
        values[i] = 1.0f / (1.0f + exponential(-values[i]));
}

UNUSED static float square_root(float x)
{
    /* Newton's method, from half the exponent. */
    float root;
    int32_t bits;
    int i;
    if (x <= 0.0f)
        return 0.0f;
    memcpy(&bits, &x, 4);
    bits = (bits >> 1) + 0x1fbd1df5;
    memcpy(&root, &bits, 4);
    for (i = 0; i < 4; i++)
        root = 0.5f * (root + x / root);
    return root;
}

UNUSED static void l2(float *values, int count, int width)
{
    for (; count > 0; count -= width, values += width) {
        float sum = 0.0f, norm;
        int i;
        for (i = 0; i < width; i++)
            sum += values[i] * values[i];
        norm = square_root(sum);
        norm = norm > SHORTEST ? norm : SHORTEST;
        for (i = 0; i < width; i++)
            values[i] /= norm;
    }
}

static void read_output(const value_t *arena, const output_t *o, float *out)
{
    const layer_t *l = &layers[o->layer];
    int y, x, c;
    out += o->to;
    for (y = 0; y < l->height; y++)
        for (x = 0; x < l->width; x++) {
            const value_t *in = row_of((value_t *)arena, l, l->top + y) + l->left + x * l->cell;
            for (c = 0; c < o->channels; c++)
                *out++ = real(in[c], o);
        }
}
