/* The least that a Cortex-M needs before main(), and semihosting, by which the emulator prints and ends. */

#include <stdint.h>

extern uint32_t stack_top, data_from, data_start, data_end, bss_start, bss_end;
int main(void);
void put(const char *text);
void reset(void);

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void put(const char *text)
{
    semihost(4, text);
}

static void leave(uint32_t status)
{
    uint32_t block[2];
    block[0] = 0x20026;
    block[1] = status;
    semihost(0x20, block);
    for (;;)
        ;
}

static void fault(void)
{
    leave(99);
}

void reset(void)
{
    uint32_t *to, *from = &data_from;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20;
    __asm__ volatile("dsb\n isb");
#endif
    for (to = &data_start; to < &data_end;)
        *to++ = *from++;
    for (to = &bss_start; to < &bss_end;)
        *to++ = 0;
    leave((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
