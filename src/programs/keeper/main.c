/*
 * aileron-keeper: the only program of ours that opens the vault
 *
 * aileron-keeper PARENT-PID NAMESPACES, started by `aileron daemon run` with the descriptors that supervise/supervise.h
 * names. It confines itself to the vault's folder, proves it, makes its keys, tells the public ones, and serves until its
 * parent ends.
 */
#include "confine/policies.h"
#include "supervise/supervise.h"
#include "vault/keeper.h"

static int serve(const struct supervise_start *start, struct err *err)
{
	const struct keeper_options options = {
		.parent_fd = SUPERVISE_FD,
		.auto_lock_ms = supervise_setting_u64(start, SETTING_AUTO_LOCK_MS, KEEPER_AUTO_LOCK_MS),
	};
	AUTO(keeper) *keeper = keeper_new(&options, err);
	if (keeper == NULL)
		return -1;
	AUTO_BUF ready = BUF_INIT(SUPERVISE_BODY);
	keeper_ready_put(keeper, &ready);
	if (supervised_ready(buf_str(&ready), err) != 0)
		return -1;
	return keeper_run(keeper, err);
}

int main(int argc, char **argv)
{
	static const struct supervised_spec spec = {
		.name = "aileron-keeper",
		.policy = &confine_keeper,
		.keep_fds = KEEPER_FDS,
		.folder_fd = KEEPER_FD_FOLDER,
	};
	keeper_watch_signal(); /* from the first moment a signal locks, instead of ending the process */
	const struct supervise_start *start = supervised_begin(&spec, argc, argv);
	if (start == NULL)
		return 1;
	static struct err err;
	if (serve(start, &err) != 0) {
		supervised_failed(&err);
		return 1;
	}
	return 0;
}
