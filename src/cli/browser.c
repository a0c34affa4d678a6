#include "cli/browser.h"
#include "daemon/state_dir.h"
#include "os/child.h"
#include "os/file.h"
#include <stdlib.h>

#define OPENER    "xdg-open"
#define OPEN_MS   10000
#define PAGE_MAX  ((size_t)256 << 10)
#define PATHS_MAX 4096

extern char **environ;

/* Text as the value of an attribute, and inside a string of JSON within a script. */
static void put_attribute(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (strchr("&<>\"'", text.p[i]) != NULL)
			buf_addf(out, "&#%d;", text.p[i]);
		else
			buf_add_char(out, text.p[i]);
	}
}

static char *write_page(struct cli *cli, struct str url, struct err *err)
{
	AUTO_BUF page = BUF_INIT(PAGE_MAX);
	AUTO_FREE char *path = state_dir_file(cli->state_dir, "open.html");
	buf_add_z(&page, "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">"
			 "<title>aileron</title><meta http-equiv=\"refresh\" content=\"0;url=");
	put_attribute(&page, url);
	buf_add_z(&page, "\"><a href=\"");
	put_attribute(&page, url);
	buf_add_z(&page, "\">Go on</a>\n");
	if (buf_check(&page, "the address", err) < 0 || file_replace(path, buf_str(&page), 0600, err) < 0)
		return NULL;
	return TAKE(path);
}

static char *find_opener(struct err *err)
{
	const char *path = getenv("PATH");
	struct str rest = str_from(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
	while (rest.n > 0) {
		struct str folder;
		rest = str_cut(rest, ':', &folder);
		if (!str_starts(folder, S("/")) || folder.n > PATHS_MAX)
			continue;
		AUTO_FREE char *program = xasprintf("%.*s/" OPENER, STR_FMT(folder));
		if (access(program, X_OK) == 0)
			return TAKE(program);
	}
	fail(err, ERR_SYSTEM, "there is no '" OPENER "' here");
	return NULL;
}

int browser_open(struct cli *cli, struct str url, struct err *err)
{
	AUTO_FREE char *opener = find_opener(err);
	if (opener == NULL)
		return -1;
	AUTO_FREE char *page = write_page(cli, url, err);
	if (page == NULL)
		return -1;
	const char *const argv[] = {OPENER, page, NULL};
	AUTO_CHILD child = CHILD_INIT;
	child.path = opener;
	child.argv = argv;
	child.envp = (const char *const *)environ;
	child.detached = true;
	if (child_start(&child, err) < 0)
		return -1;
	int ended = child_wait(&child, OPEN_MS, err);
	if (ended < 0)
		return -1;
	if (ended == 1 && child.exit_status != 0)
		return fail(err, ERR_SYSTEM, "'" OPENER "' could not open a browser");
	return 0;
}
