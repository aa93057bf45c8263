#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !SMALL && defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__)) && defined(__SSE2__)
#define X86 1
#if defined(__cplusplus) && !defined(__clang__)
/* What gcc's own headers do. */
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <cpuid.h>
#include <immintrin.h>
#if (defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11)
#define VNNI256_KNOWN 1
#else
#define VNNI256_KNOWN 0
#endif
#else
#define X86 0
#endif

/* A value of a plane is one byte, its 8-bit value + 128, or a float. A plane is rows of cells, a cell the values of one
 * pixel, padded to whole blocks of 16; weights of padding are 0. */

#define BLOCK 16

#if !SMALL && !FLOAT32 && defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define DOT 1
#include <arm_neon.h>
#else
#define DOT 0
#endif

#if defined(__ARM_FEATURE_SIMD32) && !defined(__aarch64__)
#define PAIRS 1
#include <arm_acle.h>
#else
#define PAIRS 0
#endif

#if FLOAT32
typedef float value_t;
typedef float weight_t;
typedef float sum_t;
#define GROUP 1
#else
typedef uint8_t value_t;
typedef int8_t weight_t;
typedef int32_t sum_t;
#define GROUP 4
#endif

#if defined(__GNUC__)
#define RESTRICT __restrict
#define INLINE static inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))
#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif
#elif defined(_MSC_VER)
#define RESTRICT __restrict
#define INLINE static __forceinline
#define UNUSED
#define UNROLLED
#else
#define RESTRICT
#define INLINE static
#define UNUSED
#define UNROLLED
#endif

/* Vectors of the compiler, which become those of the processor, whatever they are. */
#if !SMALL && !defined(NETWORK_NO_VECTORS) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 9))
#define VECTORS 1
#else
#define VECTORS 0
#endif

#if defined(__FAST_MATH__)
#error "-ffast-math changes how values are rounded: compile this file without it"
#endif

/* What turns sums of products into values: value = zero + sum * scale, rounded, between the bounds (less zero). */
typedef struct {
    const weight_t *weights; /* [blocks][rows][groups][BLOCK][GROUP], or of a depthwise layer [blocks][taps][BLOCK] */
    const sum_t *bias;       /* [blocks * BLOCK] */
    const float *scale;      /* as many; none in float32 */
    float low, high;
    int zero;
    int blocks; /* of output channels */
    int rows;   /* of the kernel */
    int width;  /* of the kernel, in pixels */
    int groups; /* of GROUP values in a row of the kernel */
    int stride; /* between rows of input, and between their pixels */
    int cell;   /* values between pixels of input */
    int pixels; /* in a row of output */
    int out;    /* values between pixels of output */
    int left;   /* pixels of padding that the kernel of a depthwise layer begins with, if SMALL */
    int across; /* pixels in a row of input */
    int padding;
} work_t;

/* Channels of a block that are in a cell. */
#if SMALL
#define LANES(w, block) ((w)->out - (block) * BLOCK < BLOCK ? (w)->out - (block) * BLOCK : BLOCK)
#else
#define LANES(w, block) BLOCK
#endif

/* `count` rows of output; in[r * stride + k] is the row of input that row k of the kernel reads for output r. */
typedef void kernel_t(const work_t *w, const value_t *const *in, value_t *const *out, int count);

/* One cell of output from `height` rows. */
typedef void average_t(const work_t *w, const value_t *const *in, value_t *out, int height);

typedef struct {
    kernel_t *product;   /* a convolution over all channels */
    kernel_t *depthwise; /* of 3 x 3 */
    average_t *average;
} kernels_t;

/* The pixel of a row that column t of the kernel reads for output x, -1 for one of the padding. A row of the padding is
 * none. */
UNUSED INLINE int column(const work_t *w, const value_t *row, int x, int t)
{
#if SMALL
    const int at = x * w->stride + t - w->left;
    return !row || at >= w->across ? -1 : at;
#else
    (void)row;
    return x * w->stride + t;
#endif
}

/* Where a layer reads another one: its window for output 0 begins in row `row`, at value `column` of a row. */
typedef struct {
    int layer, row, column, channels;
} input_t;

enum { PIXELS, PRODUCT, DEPTHWISE, SEPARABLE, AVERAGE, CONCATENATION };

/* A layer and its plane of `padded` rows, of which the last `kept` are in memory: row y is at y % kept. */
typedef struct {
    int kind;
    int inputs, first; /* how many, and which of `inputs` is the first */
    int work;          /* which of `works`; of SEPARABLE this one is depthwise, and the next one the product */
    int at;            /* in values from the start of the arena */
    int kept, padded, top, height;
    int row, left, width, cell; /* values in a row, and in front of its first pixel; pixels; values in a cell */
    int step;                   /* rows made at once */
    int stride, window;         /* rows of input between rows, and read for one */
    int padding;                /* the value of cells around the plane */
} layer_t;

/* Part of an output: the plane of a layer, as real numbers. */
typedef struct {
    int layer, channels;
    int to; /* where it goes in the output */
    int zero;
    float scale;
} output_t;
