/*
 * keeper_throttle: how long to wait after wrong passphrases
 *
 * Three wrong tries are free; the third makes the next wait a second, each further one twice as long, up to a minute. A right
 * one starts anew. A plain value; times are CLOCK_MONOTONIC.
 */
#pragma once
#include <stdint.h>

#define KEEPER_THROTTLE_FREE   3
#define KEEPER_THROTTLE_MAX_MS 60000

struct keeper_throttle {
	unsigned wrong;
	uint64_t until_ns;
};

uint64_t keeper_throttle_left_ms(const struct keeper_throttle *throttle, uint64_t now_ns); /* 0 = may try */
void keeper_throttle_wrong(struct keeper_throttle *throttle, uint64_t now_ns);
void keeper_throttle_right(struct keeper_throttle *throttle);
