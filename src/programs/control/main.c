/*
 * aileron-control: the half of the daemon that decides
 *
 * aileron-control PARENT-PID NAMESPACES, started by `aileron daemon run` with the descriptors that supervise/supervise.h
 * names: two listeners and the folder of its database. It confines itself to that folder, proves it, and serves the API until
 * its parent says stop or ends.
 */
#include "confine/policies.h"
#include "control/control.h"
#include "supervise/supervise.h"
#include <malloc.h>

int main(int argc, char **argv)
{
	static const struct supervised_spec spec = {
		.name = "aileron-control",
		.policy = &confine_control,
		.keep_fds = CONTROL_FDS,
		.folder_fd = CONTROL_FD_FOLDER,
	};
	mallopt(M_ARENA_MAX, 2); /* workers wait more than they allocate: one heap each would be memory for nothing */
	const struct supervise_start *start = supervised_begin(&spec, argc, argv);
	if (start == NULL)
		return 1;
	static struct err err;
	if (control_run(start, &err) != 0) {
		supervised_failed(&err);
		return 1;
	}
	return 0;
}
