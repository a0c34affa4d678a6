/*
 * What parent and children say to each other, through a real pair: a frame that arrives has a body that fits, and what is
 * read of a child's state is written as the same bytes. The first byte chooses whether a whole frame is sent.
 */
#include "supervise/supervise.h"
#include "base/mem.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_child(struct str body)
{
	struct supervise_child child = {.role = SUPERVISE_CONTROL};
	if (supervise_child_get(body, &child, NULL) != 0)
		return;
	AUTO_BUF again = BUF_INIT(SUPERVISE_BODY);
	supervise_child_put(&again, &child);
	if (!str_eq(buf_str(&again), body))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct supervise_frame frame;
	static struct supervise_message m;
	int pair[2];
	if (n < 1 || supervise_pair(pair, NULL) != 0)
		return 0;
	memset(&frame, 0, sizeof frame);
	memcpy(&frame, data + 1, MIN(n - 1, sizeof frame));
	size_t size = (data[0] & 1) != 0 ? sizeof frame : MIN(n - 1, sizeof frame);
	if (fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0 && send(pair[0], &frame, size, MSG_DONTWAIT) >= 0 &&
	    supervise_recv(pair[1], &m, NULL) == 1) {
		if (size != sizeof frame || m.frame.n > SUPERVISE_BODY || m.frame.zero != 0)
			abort();
		read_child(supervise_body(&m));
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}
