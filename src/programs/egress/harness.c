#include "base/log.h"
#include "base/limits.h"
#include "confine/policies.h"
#include "egress/egress_protocol.h"
#include "egress/server.h"
#include "programs/egress/lives.h"
#include "text/wire.h"

static int send_hello(struct rpc_channel *channel, const struct confine_report *report, struct err *err)
{
	AUTO_BUF body = BUF_INIT(16 * KIB);
	confine_report_put(&body, report);
	struct str part = buf_str(&body);
	return rpc_send(channel, EGRESS_HELLO, 0, &part, 1, err);
}

/* 1 with the order to start, 0 when the parent ended this process instead. */
static int wait_for_start(struct rpc_channel *channel, bool *ret_ca_file, struct err *err)
{
	struct rpc_frame frame;
	int got = rpc_recv(channel, &frame, err);
	if (got != 1)
		return got;
	struct wire_reader r = wire_reader(frame.body);
	*ret_ca_file = wire_bool(&r);
	if (wire_done(&r, "start", err) != 0)
		return -1;
	rpc_set_state(channel, EGRESS_STATE_SERVING);
	return 1;
}

static int live(const struct confine_options *confinement, struct rpc_channel *channel, struct err *err)
{
	static struct confine_report report;
	if (confine_apply(&confine_egress, confinement, &report, err) != 0)
		return wrap(err, "confining egress");
	if (send_hello(channel, &report, err) != 0)
		return -1;
	/* While the parent judges. */
	struct egress_server_options options = {.channel = channel};
	AUTO(egress_server) *server = egress_server_new(&options, err);
	if (server == NULL)
		return -1;
	bool ca_file = false;
	int got = wait_for_start(channel, &ca_file, err);
	return got == 1 ? egress_server_run(server, ca_file ? EGRESS_FD_CA : -1, err) : got;
}

int live_under_harness(int argc, char **argv)
{
	struct confine_options confinement;
	if (confine_begin("aileron-egress", argc, argv, &confinement) != 0)
		return 2;
	confinement.keep_fds = EGRESS_FDS;
	AUTO(rpc_channel) *channel = rpc_channel_new(EGRESS_FD_SOCKET, egress_child_rules);
	rpc_set_sensitive(channel, true);
	static struct err err;
	if (live(&confinement, channel, &err) != 0) {
		log_error("egress_failed", log_err(&err));
		return 1;
	}
	return 0;
}
