/*
 * Actions as an agent calls them: a real daemon, a linked connector whose operation makes no request, an action that only
 * reads and one that writes, called through aileron-guest and through the connection that the guest has.
 *
 *   - one call at a time, over lines to a trivial process and back through pipes, or a socket (the floor: the budget is
 *     three of them and 100 us, with a write two commits that are synced more), and beside what SQLite alone takes for
 *     the rows that such a call writes
 *   - 32 calls in flight, and one, against an echo server of the official TypeScript SDK behind the same pipes (the peer)
 *   - tools/list of 500 actions in one page, as it was kept and after a change
 *
 * Whatever is compared takes turns, so that all meet the same machine.
 *
 * bench_action BIN, where BIN holds the programs and ../examples the connectors; run in the source's folder for the peer.
 */
#include "base/mem.h"
#include "home.h"
#include "rows.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { TURNS = 30, ASKS = 40, WARM_UP = 100, IN_FLIGHT = 32, ANSWERS = 640, FLIGHTS = 7, TOOLS = 500, LISTS = 40 };

#define CONNECTOR "github://acme/fixture"
#define PEER      "tests/e2e/node/echo.mjs"
#define PEER_SDK  "tests/e2e/node/node_modules/@modelcontextprotocol/sdk/package.json"
#define LIST      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n"

static struct home home;

/* ------------------------------------------------------------------------------------------------------------- actions */

static void put_action(const char *file, const char *name, const char *effect)
{
	AUTO_FREE char *text = xasprintf(
		"+++\nname = \"%s\"\nversion = \"1.0.0\"\nsource = \"github://acme/bench/actions/%s@1.0.0\"\n\n"
		"[[requires.connectors]]\nname = \"" CONNECTOR "\"\nversion = \"1.0.0\"\n"
		"hash = \"sha256:bound-at-release\"\ncapabilities = [\"echo\"]\n\n[match]\nintent = \"say it "
		"again\"\n\n"
		"[[inputs]]\nname = \"text\"\ntype = \"string\"\nrequired = true\ndescription = \"what is said\"\n\n"
		"[approval]\nrequired = false\n\n[[execute]]\nid = \"say\"\nconnector = \"" CONNECTOR
		"\"\nop = \"echo\"\neffect = \"%s\"\n\n[execute.inputs]\nvalue = \"${args.text}\"\n\n+++\n\n"
		"# Say it\n\nSays again what it is given.\n",
		name, name, effect);
	home_put(&home, file, str_from(text));
}

static void furnish(void)
{
	AUTO_FREE char *wasm = xasprintf("%s/../examples/fixture/connector.wasm", home.bin);
	AUTO_FREE char *connector = xasprintf("%s/connector", home.folder);
	AUTO_FREE char *actions = xasprintf("%s/actions", home.folder);
	home_put(&home, "connector/connector.wasm", slurp(wasm));
	home_put(&home, "connector/manifest.toml",
		 S("[connector]\nname = \"" CONNECTOR "\"\nversion = \"1.0.0\"\npublisher = \"acme\"\n\n"
		   "[capabilities.network]\nhosts = [\"api.example.com:443\"]\n"));
	put_action("actions/look.md", "look", "read");
	put_action("actions/change.md", "change", "write");
	HOME_VERB(&home, "connector", "link", connector);
	HOME_VERB(&home, "action", "link", actions);
}

static void greet(const struct talk *talk)
{
	(void)talk_ask(
		talk,
		S("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		  "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n"));
	talk_send(talk, S("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"));
}

/* A line without the end of its id, which is written behind: ids are of six digits. */
static char *call_line(const char *tool, unsigned id)
{
	return xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%06u,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\","
			 "\"arguments\":{\"text\":\"hello, whoever reads this\"}}}\n",
			 100000 + id % 900000, tool);
}

/* ------------------------------------------------------------------------------------------------------- one at a time */

/* One of those that take turns. */
struct way {
	const struct talk *talk;
	const char *tool;
	bool echoes; /* sends back what it gets */
	struct samples samples;
};

static void ask(struct way *way, bool counts)
{
	static unsigned id;
	AUTO_FREE char *line = call_line(way->tool, ++id);
	double start = now_us();
	struct str answer = talk_ask(way->talk, str_from(line));
	double took = now_us() - start;
	want(way->echoes || str_find(answer, S("hello, whoever")) != STR_NPOS, answer.p);
	want(str_find(answer, S("\"isError\":true")) == STR_NPOS, answer.p);
	if (counts)
		samples_add(&way->samples, took);
}

static double p50(struct way *way)
{
	return samples_at(&way->samples, 0.5);
}

/* What a commit costs on that disk: a row of a thousand bytes by SQLite alone, synced, into a log that has its size already. */
struct disk {
	sqlite3 *handle;
	struct samples samples;
};

static void disk_open(struct disk *disk)
{
	AUTO_FREE char *name = xasprintf("%s/bare.db", home.folder);
	want(sqlite3_open(name, &disk->handle) == SQLITE_OK &&
		     sqlite3_exec(disk->handle,
				  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (b BLOB); "
				  "INSERT INTO t VALUES (zeroblob(5000000));",
				  NULL, NULL, NULL) == SQLITE_OK,
	     "no database");
}

static void disk_commit(struct disk *disk)
{
	double start = now_us();
	want(sqlite3_exec(disk->handle, "INSERT INTO t VALUES (zeroblob(1000))", NULL, NULL, NULL) == SQLITE_OK,
	     "no commit");
	samples_add(&disk->samples, now_us() - start);
}

static void write_rows(struct rows *rows, struct samples *ret)
{
	double start = now_us();
	rows_write(rows);
	if (ret != NULL)
		samples_add(ret, now_us() - start);
}

enum { PIPES, SOCKET, LOOK_GUEST, LOOK_LINES, CHANGE_GUEST, CHANGE_LINES, WAYS };

static void report_way(const char *subject, struct way *way, struct way *floor, double more)
{
	AUTO_FREE char *best = xasprintf("%s, best", subject);
	AUTO_FREE char *median = xasprintf("%s, p50", subject);
	report("action", best, samples_at(&way->samples, 0), "us", 0);
	report("action", median, p50(way), "us", 3 * p50(floor) + 100 + more);
}

static void measure_alone(const struct talk *guest, const struct talk *lines)
{
	struct talk cat, echo;
	struct disk disk = {0};
	struct samples alone = {0};
	AUTO_FREE char *name = xasprintf("%s/rows.db", home.folder);
	struct rows *rows = rows_open(name);
	talk_echo(&echo);
	talk_start(&cat, &home, (const char *const[]){"/usr/bin/cat", "-u", NULL});
	disk_open(&disk);
	struct way ways[WAYS] = {
		[PIPES] = {.talk = &cat, .tool = "look", .echoes = true},
		[SOCKET] = {.talk = &echo, .tool = "look", .echoes = true},
		[LOOK_GUEST] = {.talk = guest, .tool = "look"},
		[LOOK_LINES] = {.talk = lines, .tool = "look"},
		[CHANGE_GUEST] = {.talk = guest, .tool = "change"},
		[CHANGE_LINES] = {.talk = lines, .tool = "change"},
	};
	for (int turn = 0; turn < TURNS + 1; turn++) {
		for (size_t i = 0; i < WAYS; i++) {
			for (int n = turn == 0 ? WARM_UP : ASKS; n > 0; n--) {
				ask(&ways[i], turn > 0);
				if (i >= CHANGE_GUEST && turn > 0 && n % 4 == 0) /* among those that commit, too */
					disk_commit(&disk);
				if (i == LOOK_LINES)
					write_rows(rows, turn > 0 ? &alone : NULL);
			}
		}
	}
	double commit = samples_at(&disk.samples, 0.5);
	report("action", "floor: a line through pipes and back, p50", p50(&ways[PIPES]), "us", 0);
	report("action", "floor: a line through a socket and back, p50", p50(&ways[SOCKET]), "us", 0);
	report("action", "floor: a commit that is synced, p50", commit, "us", 0);
	report("action", "floor: the rows of a read by SQLite alone, p50", samples_at(&alone, 0.5), "us", 0);
	report_way("reads, through the guest", &ways[LOOK_GUEST], &ways[PIPES], 0);
	report_way("reads, through control's lines", &ways[LOOK_LINES], &ways[SOCKET], 0);
	report_way("writes, through the guest", &ways[CHANGE_GUEST], &ways[PIPES], 2 * commit);
	report_way("writes, through control's lines", &ways[CHANGE_LINES], &ways[SOCKET], 2 * commit);
	for (size_t i = 0; i < WAYS; i++)
		samples_release(&ways[i].samples);
	samples_release(&disk.samples);
	samples_release(&alone);
	rows_close(rows);
	sqlite3_close(disk.handle);
	talk_end(&cat);
	talk_end(&echo);
}

/* ------------------------------------------------------------------------------------------------------------ the peer */

/* Answers a second, with as many calls under way all the time. */
static double fly(const struct talk *talk)
{
	static unsigned id;
	static char in[65536];
	unsigned sent = 0, answered = 0;
	double start = now_us();
	while (answered < ANSWERS) {
		while (sent < ANSWERS && sent - answered < IN_FLIGHT) {
			AUTO_FREE char *line = call_line("look", ++id);
			talk_send(talk, str_from(line));
			sent++;
		}
		ssize_t n = read(talk->out, in, sizeof in);
		want(n > 0, "no answer");
		for (ssize_t i = 0; i < n; i++)
			answered += in[i] == '\n';
	}
	return ANSWERS * 1e6 / (now_us() - start);
}

static void compare(const struct talk *guest, const struct talk *peer)
{
	struct way ours = {.talk = guest, .tool = "look"}, theirs = {.talk = peer, .tool = "look"};
	struct samples our_rate = {0}, their_rate = {0};
	for (int turn = 0; turn < TURNS + 1; turn++) {
		for (int n = turn == 0 ? WARM_UP : ASKS; n > 0; n--)
			ask(&ours, turn > 0);
		for (int n = turn == 0 ? WARM_UP : ASKS; n > 0; n--)
			ask(&theirs, turn > 0);
	}
	for (int turn = 0; turn < FLIGHTS; turn++) {
		samples_add(&our_rate, fly(guest));
		samples_add(&their_rate, fly(peer));
	}
	double our_median = samples_at(&our_rate, 0.5), their_median = samples_at(&their_rate, 0.5);
	report("action", "peer: TypeScript SDK, one at a time, p50", p50(&theirs), "us", 0);
	report("action", "reads beside the TypeScript SDK, p50", p50(&ours), "us", p50(&theirs));
	report("action", "peer: TypeScript SDK, 32 in flight", their_median, "calls/s", 0);
	report_at_least("action", "reads, 32 in flight", our_median, "calls/s", their_median);
	samples_release(&ours.samples);
	samples_release(&theirs.samples);
	samples_release(&our_rate);
	samples_release(&their_rate);
}

static void measure_peer(const struct talk *guest)
{
	struct talk peer;
	if (access("/usr/bin/node", X_OK) != 0 || access(PEER_SDK, R_OK) != 0) {
		printf("{\"bench\":\"action\",\"skipped\":\"the TypeScript SDK: /usr/bin/node or " PEER_SDK
		       " is not there\"}\n");
		report("action", "reads, 32 in flight", fly(guest), "calls/s", 0);
		return;
	}
	talk_start(&peer, &home, (const char *const[]){"/usr/bin/node", PEER, NULL});
	greet(&peer);
	compare(guest, &peer);
	talk_end(&peer);
}

/* ------------------------------------------------------------------------------------------------------------ the list */

static double list_once(const struct talk *lines, size_t *ret_n)
{
	double start = now_us();
	struct str answer = talk_ask(lines, S(LIST));
	double took = now_us() - start;
	want(str_find(answer, S("\"nextCursor\"")) == STR_NPOS && str_find(answer, S("bench_499")) != STR_NPOS,
	     "not all of them in one page");
	*ret_n = answer.n;
	return took;
}

/* Until the client was told that the list is another. */
static void await_change(const struct talk *lines)
{
	static char in[65536];
	size_t n = 0;
	while (n == 0 || in[n - 1] != '\n') {
		ssize_t got = read(lines->out, in + n, sizeof in - n);
		want(got > 0, "nothing was told");
		n += (size_t)got;
	}
	want(str_find(str_of(in, n), S("list_changed")) != STR_NPOS, "something else was told");
}

static void measure_list(const struct talk *lines)
{
	AUTO_FREE char *many = xasprintf("%s/many", home.folder);
	AUTO_BUF answer = BUF_INIT((size_t)1 << 20);
	struct samples kept = {0}, changed = {0};
	size_t n = 0;
	for (int i = 0; i < TOOLS; i++) {
		AUTO_FREE char *name = xasprintf("bench-%03d", i);
		AUTO_FREE char *file = xasprintf("many/%s.md", name);
		put_action(file, name, "read");
	}
	HOME_VERB(&home, "action", "link", many);
	await_change(lines);
	for (int i = 0; i < LISTS; i++) {
		home_request(&home, "PATCH", "/v1/actions/look",
			     i % 2 == 0 ? "{\"enabled\":false}" : "{\"enabled\":true}", 200, &answer);
		await_change(lines);
		samples_add(&changed, list_once(lines, &n));
		for (int k = 0; k < 5; k++)
			samples_add(&kept, list_once(lines, &n));
	}
	report("action", "tools/list of 500, bytes", (double)n, "bytes", 0);
	report("action", "tools/list of 500 by control, kept, p50", samples_at(&kept, 0.5), "us", 1000);
	report("action", "tools/list of 500 by control, after a change, p50", samples_at(&changed, 0.5), "us", 5000);
	samples_release(&kept);
	samples_release(&changed);
}

int main(int argc, char **argv)
{
	struct talk guest, lines;
	home_make(&home, argc == 2 ? argv[1] : "build/release/bin");
	home_start(&home);
	furnish();
	talk_start(&guest, &home, (const char *const[]){"aileron-guest", "mcp", "--as", home.agent, NULL});
	talk_control(&lines, &home);
	greet(&guest);
	greet(&lines);
	measure_alone(&guest, &lines);
	measure_peer(&guest);
	talk_end(&guest);
	measure_list(&lines);
	talk_end(&lines);
	home_stop(&home);
	return 0;
}
