#include "base/rand.h"
#include "base/time.h"
#include "connector/abi/wasi_functions.h"

enum { CLOCK_ID_REALTIME, CLOCK_ID_MONOTONIC };

uint32_t wasi_clock_res_get(struct guest *guest, const uint64_t *args)
{
	uint64_t resolution;
	if (args[0] == CLOCK_ID_REALTIME)
		resolution = 1000;
	else if (args[0] == CLOCK_ID_MONOTONIC)
		resolution = 1;
	else
		return WASI_EINVAL;
	return memory_put_u64(guest_memory(guest), args[1], resolution) ? WASI_SUCCESS : WASI_EFAULT;
}

/* args[1] is a precision that is asked for; every reading is as exact as there is. */
uint32_t wasi_clock_time_get(struct guest *guest, const uint64_t *args)
{
	uint64_t now;
	if (args[0] == CLOCK_ID_REALTIME)
		now = clock_wall_ns(NULL);
	else if (args[0] == CLOCK_ID_MONOTONIC)
		now = clock_monotonic_ns(NULL);
	else
		return WASI_EINVAL;
	return memory_put_u64(guest_memory(guest), args[2], now) ? WASI_SUCCESS : WASI_EFAULT;
}

uint32_t wasi_random_get(struct guest *guest, const uint64_t *args)
{
	enum { CHUNK = 1 << 20 }; /* a few milliseconds: between two, the deadline is looked at */
	uint8_t *p = memory_span(guest_memory(guest), args[0], args[1]);
	if (p == NULL)
		return WASI_EFAULT;
	for (uint64_t done = 0; done < args[1];) {
		size_t n = (size_t)MIN(args[1] - done, (uint64_t)CHUNK);
		rand_bytes(p + done, n);
		done += n;
		if (n == CHUNK && invocation_must_stop(invocation_of(guest), guest))
			break;
	}
	return WASI_SUCCESS;
}

/*
 * poll_oneoff. A subscription has 48 bytes: userdata u64 @0, kind u8 @8, then from @16 for a clock: id u32 @16, timeout
 * u64 @24, precision u64 @32, flags u16 @40; for a descriptor: fd u32 @16. An event has 32: userdata @0, errno u16 @8,
 * kind u32 @10 (as the engine that connectors are built against lays it out, where preview 1 has a u8).
 */
enum { SUBSCRIPTION = 48, EVENT = 32 };
enum { KIND_CLOCK, KIND_FD_READ, KIND_FD_WRITE };

struct poll {
	const struct invocation *call;
	uint64_t sleep; /* the shortest clock's */
	bool ready;     /* some descriptor answers at once */
};

/* Decides one subscription: errno of the event in *ret_event. A result other than success ends the whole call. */
static uint32_t poll_one(struct poll *poll, const uint8_t *subscription, uint32_t *ret_event)
{
	uint8_t kind = subscription[8];
	*ret_event = WASI_SUCCESS;
	if (kind == KIND_CLOCK) {
		uint64_t flags = memory_load(subscription + 40, 2);
		if (flags != 0)
			return flags == 1 ? WASI_ENOTSUP : WASI_EINVAL; /* 1 = an absolute time */
		poll->sleep = MIN(poll->sleep, memory_load(subscription + 24, 8));
		return WASI_SUCCESS;
	}
	if (kind != KIND_FD_READ && kind != KIND_FD_WRITE)
		return WASI_EINVAL;
	uint64_t fd = memory_load(subscription + 16, 4);
	if (fd > INT32_MAX)
		return WASI_EBADF;
	poll->ready = true;
	if (!wasi_has_fd(poll->call, fd))
		*ret_event = WASI_EBADF;
	else if (kind == KIND_FD_WRITE)
		*ret_event = WASI_ENOTSUP;
	return WASI_SUCCESS;
}

uint32_t wasi_poll_oneoff(struct guest *guest, const uint64_t *args)
{
	uint64_t n = args[2];
	if (n == 0)
		return WASI_EINVAL;
	struct guest_memory memory = guest_memory(guest);
	const uint8_t *in = memory_span(memory, args[0], n * SUBSCRIPTION);
	uint8_t *out = memory_span(memory, args[1], n * EVENT);
	if (in == NULL || out == NULL || memory_span(memory, args[3], 4) == NULL)
		return WASI_EFAULT;

	struct poll poll = {.call = invocation_of(guest), .sleep = UINT64_MAX};
	memset(out, 0, n * EVENT);
	for (uint64_t i = 0; i < n && !invocation_must_stop_at(invocation_of(guest), guest, i); i++) {
		uint8_t subscription[SUBSCRIPTION]; /* a copy: the two areas may overlap */
		memcpy(subscription, in + i * SUBSCRIPTION, sizeof subscription);
		uint32_t event;
		uint32_t refused = poll_one(&poll, subscription, &event);
		if (refused != WASI_SUCCESS)
			return refused;
		uint8_t *to = out + i * EVENT;
		memcpy(to, subscription, 8);
		memory_store(to + 8, event, 2);
		memory_store(to + 10, subscription[8], 4);
	}
	memory_put_u32(memory, args[3], (uint32_t)n);
	/* `in` and `out` are not used again: the wait lets no guest code run, but a stopped guest has no memory to touch. */
	if (!poll.ready)
		invocation_sleep(invocation_of(guest), guest, poll.sleep);
	return WASI_SUCCESS;
}
