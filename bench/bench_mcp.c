/*
 * MCP: the list of 500 tools in one page through the door of lines, as it was kept and after a change, against copying the same
 * bytes; and one call of a tool that does nothing.
 *
 * bench_mcp
 */
#include "measure.h"
#include "mcp/mcp.h"
#include "unit/mcp_lab.h"

enum { TOOLS = 500, TIMES = 400 };

static void take(void *user, struct str message)
{
	struct buf *last = user;
	buf_clear(last);
	buf_add_str(last, message);
}

static double median_of(struct mcp_lab *lab, struct str line, bool changes)
{
	struct samples samples = {0};
	for (int i = 0; i < TIMES; i++) {
		lab->tools.generation += changes;
		double began = now_us();
		mcp_peer_feed(lab->peer, line);
		samples_add(&samples, now_us() - began);
	}
	double median = samples_at(&samples, 0.5);
	samples_release(&samples);
	return median;
}

static double median_of_copy(struct str bytes)
{
	struct samples samples = {0};
	for (int i = 0; i < TIMES; i++) {
		AUTO_BUF copy = BUF_INIT(MCP_ANSWER_MAX);
		double began = now_us();
		buf_add_str(&copy, bytes);
		samples_add(&samples, now_us() - began);
	}
	double median = samples_at(&samples, 0.5);
	samples_release(&samples);
	return median;
}

int main(void)
{
	AUTO_BUF last = BUF_INIT(2 * MCP_ANSWER_MAX);
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_add_tools(lab, TOOLS);
	lab->peer = mcp_peer_new(lab->mcp,
				 &(struct mcp_peer_options){.caller = {.id = S("a")}, .write = take, .user = &last});
	mcp_peer_feed(lab->peer, S("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
				   "\"protocolVersion\":\"2025-11-25\"}}"));
	struct str list = S("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}");
	double changed = median_of(lab, list, true), kept = median_of(lab, list, false),
	       copied = median_of_copy(buf_str(&last));
	report("mcp", "tools/list of 500, bytes copied", copied, "us", 0);
	report("mcp", "tools/list of 500, kept, p50", kept, "us", 1000);
	report("mcp", "tools/list of 500, after a change, p50", changed, "us", 5000);
	report("mcp", "tools/call within the core, p50",
	       median_of(lab,
			 S("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\"}}"),
			 false),
	       "us", 0);
	return 0;
}
