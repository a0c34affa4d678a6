#include "base/ascii.h"
#include "base/mem.h"
#include "cli/help.h"

/* Text of ours as mdoc: a backslash is \e, and a line of text must not begin like a macro. */
static void put_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool begins = i == 0 || text.p[i - 1] == '\n';
		if (begins && (c == '.' || c == '\''))
			buf_add_z(out, "\\&");
		if (c == '\\')
			buf_add_z(out, "\\e");
		else
			buf_add_char(out, c);
		/* mdoc wants each sentence on a line of its own */
		if (c == '.' && i + 1 < text.n && text.p[i + 1] == ' ' && i + 2 < text.n &&
		    ascii_is_upper(text.p[i + 2])) {
			buf_add_char(out, '\n');
			i++;
		}
	}
	buf_add_char(out, '\n');
}

static void put_sentence(struct buf *out, const char *summary)
{
	AUTO_BUF text = BUF_INIT(4096);
	buf_addf(&text, "%s.", summary);
	if (text.p[0] >= 'a' && text.p[0] <= 'z')
		text.p[0] = (char)(text.p[0] - 'a' + 'A');
	put_text(out, buf_str(&text));
}

static void put_flags(struct buf *out, const struct verb_flag *flags)
{
	for (; flags != NULL && flags->name != NULL; flags++) {
		if (flags->help == NULL)
			continue;
		buf_addf(out, ".It Fl -%s", flags->name);
		if (flags->kind == FLAG_OPTIONAL)
			buf_addf(out, " Ns Op = Ns Ar %s", flags->value);
		else if (flags->value != NULL)
			buf_addf(out, " Ar %s", flags->value);
		buf_add_char(out, '\n');
		put_sentence(out, flags->help);
		if (flags->repeated)
			buf_add_z(out, "May be repeated.\n");
	}
}

/* "PATH [NAME [-]]" as macros: a name is Ar, what stands in brackets, which all end with the line, Op. */
static void put_arguments(struct buf *out, const char *arguments)
{
	struct str rest = str_from(arguments);
	while (rest.n > 0) {
		struct str word;
		rest = str_cut(rest, ' ', &word);
		bool optional = str_starts(word, S("["));
		size_t end = word.n;
		while (end > 0 && word.p[end - 1] == ']')
			end--;
		buf_addf(out, "%s Ar %.*s", optional ? " Op" : "", STR_FMT(str_slice(word, optional, end)));
	}
}

static void put_verb(struct buf *out, const struct verb *verb)
{
	buf_addf(out, ".It Cm %s", verb->words);
	put_arguments(out, verb->arguments);
	buf_add_char(out, '\n');
	put_sentence(out, verb->summary);
	if (verb->about[0] != '\0')
		put_text(out, str_from(verb->about));
	if (verb->flags == NULL)
		return;
	buf_add_z(out, ".Bl -tag -width Ds\n");
	put_flags(out, verb->flags);
	buf_add_z(out, ".El\n");
}

static struct str group_of(const struct verb *table, const struct verb *verb)
{
	struct str first;
	(void)str_cut(str_from(verb->words), ' ', &first);
	return verb_is_group(table, first) ? first : STR_EMPTY;
}

/* The verbs without a group first, then a subsection a group. */
static void put_verbs(struct buf *out, const struct verb *table)
{
	struct str group = S("?");
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if ((verb->marks & VERB_HIDDEN) != 0)
			continue;
		if (!str_eq(group, group_of(table, verb))) {
			if (!str_eq(group, S("?")))
				buf_add_z(out, ".El\n");
			group = group_of(table, verb);
			buf_addf(out, ".Ss %.*s\n.Bl -tag -width Ds\n", STR_FMT(group.n > 0 ? group : S("general")));
		}
		put_verb(out, verb);
	}
	buf_add_z(out, ".El\n");
}

static const char head[] =
	".\\\" Made by 'aileron manual' from the table of verbs; a test compares.\n"
	".Dd November 21, 2026\n"
	".Dt AILERON 1\n"
	".Os\n"
	".Sh NAME\n"
	".Nm aileron\n"
	".Nd let agents act on real services without holding your keys\n"
	".Sh SYNOPSIS\n"
	".Nm\n"
	".Ar verb\n"
	".Op Fl -flag ...\n"
	".Op Ar argument ...\n"
	".Sh DESCRIPTION\n"
	".Nm\n"
	"talks to a daemon of yours on this machine, and starts it when a verb needs it and it does not run.\n"
	"The daemon keeps secrets in an encrypted vault, runs connectors in confinement, gives a credential only to "
	"the hosts\n"
	"that you consented to, and records what was done.\n"
	".Pp\n"
	"A flag has one or two dashes; its value follows as\n"
	".Fl -name Ns = Ns Ar value\n"
	"or as the next argument.\n"
	"Flags may stand before, between and behind the arguments;\n"
	".Fl -\n"
	"ends them.\n"
	"Verbs and flags are never abbreviated.\n"
	".Pp\n"
	"Secrets are never arguments.\n"
	"They are asked for at the terminal without echo, read from a file, or from standard input, and sealed for the "
	"one\n"
	"process that keeps them.\n"
	".Pp\n"
	"Every verb takes\n"
	".Fl -help\n"
	"and\n"
	".Fl -json ,\n"
	"which prints one object, or for lists one object a line, and\n"
	".Li []\n"
	"for an empty one.\n"
	".Sh VERBS\n";

static const char tail[] =
	".Sh ENVIRONMENT\n"
	".Bl -tag -width Ds\n"
	".It Ev AILERON_HOME\n"
	"The state directory instead of\n"
	".Pa ~/.aileron ,\n"
	"an absolute path.\n"
	".It Ev AILERON_VAULT_PASSPHRASE\n"
	"The vault's passphrase, when no flag gives one.\n"
	"It is wiped from the environment at once and inherited by nobody.\n"
	".It Ev AILERON_API_URL\n"
	"Where the daemon listens,\n"
	".Li http://127.0.0.1: Ns Ar port ,\n"
	"with or without\n"
	".Li /v1 ,\n"
	"instead of what the state directory says.\n"
	".It Ev AILERON_TOKEN\n"
	"The token to use instead of the daemon's.\n"
	".It Ev NO_COLOR\n"
	"When set, nothing is coloured.\n"
	".El\n"
	".Pp\n"
	"A daemon that is started by another verb reads the variables that\n"
	".Cm daemon run\n"
	"names.\n"
	".Sh FILES\n"
	".Bl -tag -width Ds\n"
	".It Pa ~/.aileron/daemon.json\n"
	"Where the running daemon is, with its token.\n"
	".It Pa ~/.aileron/daemon.log\n"
	"What it logs.\n"
	".It Pa ~/.aileron/keeper.pub , Pa ~/.aileron/device.pub\n"
	"The key that secrets are sealed to, new at every start, and the key that signs the heads of the audit.\n"
	".It Pa ~/.aileron/vault\n"
	"The vault, which only its keeper opens.\n"
	".It Pa ~/.aileron/control\n"
	"The database.\n"
	".El\n"
	".Sh EXIT STATUS\n"
	".Bl -tag -width Ds -compact\n"
	".It 0\n"
	"It worked.\n"
	".It 1\n"
	"It failed.\n"
	".It 2\n"
	"The command line is wrong.\n"
	".It 69\n"
	"The daemon cannot be reached.\n"
	".It 75\n"
	"No person has approved it: the request waits still, or nobody answered in time. Asking again for the same "
	"joins a request\n"
	"that waits.\n"
	".It 77\n"
	"The vault is locked, this is not allowed, or a person said no.\n"
	".El\n"
	".Sh EXAMPLES\n"
	"Use a connector that you are writing, with a key of yours:\n"
	".Bd -literal -offset indent\n"
	"aileron connector link ./notes\n"
	"aileron binding setup notes --identity work\n"
	"aileron connector call notes --op list\n"
	".Ed\n"
	".Pp\n"
	"Let a machine unlock the vault without a passphrase:\n"
	".Bd -literal -offset indent\n"
	"aileron vault member add robot --new-key-file robot.key\n"
	"aileron vault unlock --key-file robot.key\n"
	".Ed\n"
	".Pp\n"
	"Prove to somebody else what was done:\n"
	".Bd -literal -offset indent\n"
	"aileron audit export --output audit.jsonl\n"
	"aileron audit verify audit.jsonl --key device.pub\n"
	".Ed\n"
	".Sh SEE ALSO\n"
	".Xr aileron-connector-dev-run 1\n";

void manual_page(struct buf *out, const struct verb *table)
{
	buf_add_z(out, head);
	put_verbs(out, table);
	buf_add_z(out, tail);
}
