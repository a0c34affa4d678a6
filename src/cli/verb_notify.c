/* notify: what the daemon's parent starts when an agent waits for a person. The words are fixed; only the id is another's. */
#include "base/ascii.h"
#include "cli/desktop.h"
#include "cli/verb_functions.h"
#include "cli/cli.h"
#include "supervise/supervise.h"

int verb_notify(struct cli *cli, struct err *err)
{
	struct str id = str_from(cli_argument(cli, 0));
	if (!supervise_notice_is_valid(id))
		return fail(err, ERR_USAGE, "what is told of is the id of an approval");
	int shown = desktop_notice(S("An agent asks for approval"), id, err);
	if (shown < 0)
		return -1;
	return shown == 1 ? CLI_OK : CLI_UNREACHABLE;
}
