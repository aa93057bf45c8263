/* AArch64 with dot products: of signed numbers, so that values are taken less 128, and sums get 128 times the weights. */

INLINE void finish_dot(const work_t *w, int block, const int32x4_t *sums, value_t *out)
{
    const float *scale = w->scale + block * BLOCK;
    const float32x4_t low = vdupq_n_f32(w->low), high = vdupq_n_f32(w->high);
    int16x4_t parts[4];
    int i;
    UNROLLED for (i = 0; i < 4; i++) {
        float32x4_t x = vmulq_f32(vcvtq_f32_s32(sums[i]), vld1q_f32(scale + 4 * i));
        x = vminq_f32(vmaxq_f32(x, low), high);
        parts[i] = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(x), vdupq_n_s32(w->zero)));
    }
    vst1q_u8(out, vcombine_u8(vqmovun_s16(vcombine_s16(parts[0], parts[1])), vqmovun_s16(vcombine_s16(parts[2], parts[3]))));
}

/* One block of m pixels, whose sums begin at `first`. */
INLINE void block_dot(const work_t *w, const int m, int block, const value_t *const *in, const pixels_t *p,
                      const int32x4_t *first)
{
    const int8_t *weights = w->weights + (size_t)block * (size_t)(w->rows * w->groups * BLOCK * GROUP);
    int32x4_t sums[4][4];
    int i, j, k, g;
    UNROLLED for (i = 0; i < m; i++)
        UNROLLED for (j = 0; j < 4; j++)
            sums[i][j] = first[j];
    for (k = 0; k < w->rows; k++)
        for (g = 0; g < w->groups; g++, weights += BLOCK * GROUP) {
            int8x16_t v[4];
            UNROLLED for (j = 0; j < 4; j++)
                v[j] = vld1q_s8(weights + 16 * j);
            UNROLLED for (i = 0; i < m; i++) {
                uint32_t four;
                int8x16_t x;
                memcpy(&four, in[p->row[i] + k] + p->at[i] + GROUP * g, 4);
                x = vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080u));
                UNROLLED for (j = 0; j < 4; j++)
                    sums[i][j] = vdotq_s32(sums[i][j], v[j], x);
            }
        }
    UNROLLED for (i = 0; i < m; i++)
        finish_dot(w, block, sums[i], p->to[i] + block * BLOCK);
}

static void product_dot(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    const int groups = w->rows * w->groups;
    int block, left, g, j;
    for (block = 0; block < w->blocks; block++) {
        const int8_t *weights = w->weights + (size_t)block * (size_t)(groups * BLOCK * GROUP);
        pixels_t p = {{0}, {0}, {NULL}, 0, 0};
        int32x4_t first[4];
        UNROLLED for (j = 0; j < 4; j++)
            first[j] = vdupq_n_s32(0);
        for (g = 0; g < groups; g++)
            UNROLLED for (j = 0; j < 4; j++)
                first[j] = vdotq_s32(first[j], vld1q_s8(weights + 64 * g + 16 * j), vdupq_n_s8(1));
        UNROLLED for (j = 0; j < 4; j++)
            first[j] = vaddq_s32(vld1q_s32(w->bias + block * BLOCK + 4 * j), vshlq_n_s32(first[j], 7));
        for (left = count * w->pixels; left > 0; left -= 4) {
            next_pixels(w, out, left, 4, &p);
            if (left > 1)
                block_dot(w, 4, block, in, &p, first);
            else
                block_dot(w, 1, block, in, &p, first);
        }
    }
}
