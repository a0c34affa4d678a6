#include "cli/help.h"
#include "base/mem.h"

/*
 * Each script holds the table as cases and one small function: the words before the cursor, as far as they are words of verbs,
 * choose what may follow. What follows `--flag` is a path or nothing that could be known. What there is of a kind is asked of
 * the verb `names`; none of it is read as words of the shell. What a verb passes on to another program is not completed.
 */

#define WORDS_MAX ((size_t)256)

static bool shown(const struct verb *verb)
{
	return (verb->marks & VERB_HIDDEN) == 0;
}

/* --------------------------------------------------------------------------------------------------------- the word tree */

/* The first n words of a verb; all of it when it has no more. */
static struct str first_words(const struct verb *verb, size_t n)
{
	struct str words = str_from(verb->words);
	size_t end = 0;
	while (end < words.n && (words.p[end] != ' ' || --n > 0))
		end++;
	return str_slice(words, 0, end);
}

/* Calls for each group ("vault", "vault member"), in the order of the table. */
static void each_group(const struct verb *table, void (*call)(void *user, struct str group), void *user)
{
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		for (size_t n = 1; shown(verb) && first_words(verb, n).n < strlen(verb->words); n++) {
			struct str group = first_words(verb, n);
			bool earlier = false;
			for (const struct verb *other = table; other != verb; other++)
				earlier = earlier || str_eq(first_words(other, n), group);
			if (!earlier)
				call(user, group);
		}
	}
}

/* Calls for each word that may follow these, once, with what is said of it: of a group the words of its verbs. */
static void each_next(const struct verb *table, struct str before,
		      void (*call)(void *user, struct str word, const char *about), void *user)
{
	size_t from = before.n > 0 ? before.n + 1 : 0;
	struct str last = STR_EMPTY;
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		struct str words = str_from(verb->words), word;
		bool within =
			before.n == 0 || (str_starts(words, before) && words.n > from && words.p[before.n] == ' ');
		if (!within || !shown(verb))
			continue;
		struct str rest = str_cut(str_slice(words, from, words.n), ' ', &word);
		if (!str_eq(word, last))
			call(user, word, rest.n > 0 ? "more verbs" : verb->summary);
		last = word;
	}
}

/* ------------------------------------------------------------------------------------------------------------ the flags */

static const struct verb_flag *flag_at(const struct verb *verb, size_t n)
{
	const struct verb_flag *tables[] = {verb->flags, verb_common_flags};
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct verb_flag *flag = tables[i]; flag != NULL && flag->name != NULL; flag++) {
			if (flag->help != NULL && n-- == 0)
				return flag;
		}
	}
	return NULL;
}

static bool takes_path(const struct verb_flag *flag)
{
	return flag->kind == FLAG_FILE || flag->kind == FLAG_FOLDER;
}

/* "--a|--b": the flags of all verbs that take a path, or that take something else; once each. */
static void put_flag_names(struct buf *out, const struct verb *table, bool path)
{
	AUTO_BUF seen = BUF_INIT((size_t)16 << 10);
	const struct verb_flag *flag;
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		for (size_t n = 0; (flag = flag_at(verb, n)) != NULL; n++) {
			AUTO_BUF word = BUF_INIT(WORDS_MAX);
			buf_addf(&word, "|--%s|", flag->name);
			if (!verb_flag_takes_next(flag) || takes_path(flag) != path ||
			    str_find(buf_str(&seen), buf_str(&word)) != STR_NPOS)
				continue;
			buf_addf(out, "%s--%s", seen.n > 0 ? "|" : "", flag->name);
			buf_add_str(&seen, buf_str(&word));
		}
	}
}

/* A string in single quotes; `quote` is how a shell writes one inside. */
static void put_quoted(struct buf *out, struct str text, const char *quote)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\'')
			buf_add_z(out, quote);
		else
			buf_add_char(out, text.p[i]);
	}
	buf_add_char(out, '\'');
}

/* ---------------------------------------------------------------------------------------------------------------- bash */

struct writing {
	struct buf *out;
	const struct verb *table;
	bool first;
};

static void bash_word(void *user, struct str word, const char *about)
{
	struct writing *writing = user;
	(void)about;
	buf_addf(writing->out, "%s%.*s", writing->first ? "" : " ", STR_FMT(word));
	writing->first = false;
}

static void bash_group(void *user, struct str group)
{
	struct writing *writing = user;
	buf_addf(writing->out, "\t'%.*s') words='", STR_FMT(group));
	writing->first = true;
	each_next(writing->table, group, bash_word, writing);
	buf_add_z(writing->out, "' ;;\n");
}

static void alternative(void *user, struct str group)
{
	struct writing *writing = user;
	buf_addf(writing->out, "%s'%.*s'", writing->first ? "" : "|", STR_FMT(group));
	writing->first = false;
}

/* 'a'|'a b'|…: all that a path of words may be. */
static void put_paths(struct writing *writing)
{
	writing->first = true;
	each_group(writing->table, alternative, writing);
	for (const struct verb *verb = writing->table; verb->words != NULL; verb++) {
		if (shown(verb))
			alternative(writing, str_from(verb->words));
	}
}

/* What an argument may be: words, a folder, a file. */
static void put_bash_verb(struct buf *out, const struct verb *verb)
{
	const struct verb_flag *flag;
	buf_addf(out, "\t'%s')\n", verb->words);
	if ((verb->marks & VERB_PASSES_ON) != 0)
		buf_add_z(out, "\t\twhile ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == -* ]]; do ((i++)); done\n"
			       "\t\t((i < COMP_CWORD)) && return\n");
	buf_add_z(out, "\t\twords='");
	for (size_t n = 0; (flag = flag_at(verb, n)) != NULL; n++)
		buf_addf(out, "%s--%s", n > 0 ? " " : "", flag->name);
	if (strchr(verb->arguments, '|') != NULL) {
		buf_add_char(out, ' ');
		for (const char *c = verb->arguments; *c != '\0'; c++)
			buf_add_char(out, *c == '|' ? ' ' : *c);
	}
	buf_add_z(out, "'\n");
	if (strstr(verb->arguments, "FOLDER") != NULL)
		buf_add_z(out, "\t\tpaths=-d\n");
	else if (strstr(verb->arguments, "FILE") != NULL)
		buf_add_z(out, "\t\tpaths=-f\n");
	if (verb->names != NULL)
		buf_addf(out, "\t\tkind=%s\n", verb->names);
	buf_add_z(out, "\t\t;;\n");
}

void completion_bash(struct buf *out, const struct verb *table)
{
	struct writing writing = {.out = out, .table = table};
	buf_add_z(out, "# completion of aileron for bash; made by 'aileron completion bash'\n"
		       "_aileron() {\n"
		       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} at='' longer i "
		       "words='' paths='' kind=''\n"
		       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		       "\t\tlonger=\"$at${at:+ }${COMP_WORDS[i]}\"\n"
		       "\t\tcase $longer in\n\t\t");
	put_paths(&writing);
	buf_add_z(out, ") at=$longer ;;\n\t\t*) break ;;\n\t\tesac\n\tdone\n\tcase $prev in\n\t");
	put_flag_names(out, table, true);
	buf_add_z(out, ")\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\t\treturn\n\t\t;;\n\t");
	put_flag_names(out, table, false);
	buf_add_z(out, ")\n\t\tCOMPREPLY=()\n\t\treturn\n\t\t;;\n\tesac\n\tcase $at in\n\t'') words='");
	writing.first = true;
	each_next(table, STR_EMPTY, bash_word, &writing);
	buf_add_z(out, "' ;;\n");
	each_group(table, bash_group, &writing);
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (shown(verb))
			put_bash_verb(out, verb);
	}
	buf_add_z(out, "\tesac\n"
		       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"\n"
		       "\t\t[[ -n $paths && $cur != -* ]] && compgen \"$paths\" -- \"$cur\")\n"
		       "\t[[ -n $kind && $cur != -* ]] || return 0\n"
		       /* bash takes a word with colons apart; what stands before the last one is typed already. */
		       "\tlonger=${COMP_LINE:0:COMP_POINT}\n"
		       "\tlonger=${longer##* }\n"
		       "\twhile IFS= read -r i; do\n"
		       "\t\t[[ $i == \"$longer\"* ]] && COMPREPLY+=(\"${i#\"${longer%\"${longer##*:}\"}\"}\")\n"
		       "\tdone < <(aileron names \"$kind\" 2>/dev/null)\n"
		       "}\n"
		       "complete -o filenames -F _aileron aileron\n");
}

/* ----------------------------------------------------------------------------------------------------------------- zsh */

static void zsh_word(void *user, struct str word, const char *about)
{
	struct writing *writing = user;
	AUTO_BUF text = BUF_INIT(1024);
	buf_addf(&text, "%.*s:%s", STR_FMT(word), about);
	buf_add_char(writing->out, ' ');
	put_quoted(writing->out, buf_str(&text), "'\\''");
}

static void zsh_group(void *user, struct str group)
{
	struct writing *writing = user;
	buf_addf(writing->out, "\t'%.*s') candidates=(", STR_FMT(group));
	each_next(writing->table, group, zsh_word, writing);
	buf_add_z(writing->out, " ) ;;\n");
}

static void put_zsh_verb(struct buf *out, const struct verb *verb)
{
	struct writing writing = {.out = out};
	const struct verb_flag *flag;
	buf_addf(out, "\t'%s')\n", verb->words);
	if ((verb->marks & VERB_PASSES_ON) != 0)
		buf_add_z(out, "\t\twhile ((i < CURRENT)) && [[ ${words[i]} == -* ]]; do ((i++)); done\n"
			       "\t\t((i < CURRENT)) && return\n");
	buf_add_z(out, "\t\tcandidates=(");
	for (size_t n = 0; (flag = flag_at(verb, n)) != NULL; n++) {
		AUTO_BUF word = BUF_INIT(WORDS_MAX);
		buf_addf(&word, "--%s", flag->name);
		zsh_word(&writing, buf_str(&word), flag->help);
	}
	buf_add_z(out, " )\n");
	if (strchr(verb->arguments, '|') != NULL) {
		buf_add_z(out, "\t\tcompadd -- ");
		for (const char *c = verb->arguments; *c != '\0'; c++)
			buf_add_char(out, *c == '|' ? ' ' : *c);
		buf_add_char(out, '\n');
	}
	if (strstr(verb->arguments, "FOLDER") != NULL)
		buf_add_z(out, "\t\t_files -/\n");
	else if (strstr(verb->arguments, "FILE") != NULL)
		buf_add_z(out, "\t\t_files\n");
	if (verb->names != NULL)
		buf_addf(out, "\t\tcompadd -- ${(f)\"$(aileron names %s 2>/dev/null)\"}\n", verb->names);
	buf_add_z(out, "\t\t;;\n");
}

void completion_zsh(struct buf *out, const struct verb *table)
{
	struct writing writing = {.out = out, .table = table};
	buf_add_z(out, "#compdef aileron\n"
		       "# completion of aileron for zsh; made by 'aileron completion zsh'\n"
		       "_aileron() {\n"
		       "\tlocal at='' longer i\n"
		       "\tlocal -a candidates\n"
		       "\tfor ((i = 2; i < CURRENT; i++)); do\n"
		       "\t\tlonger=\"$at${at:+ }${words[i]}\"\n"
		       "\t\tcase $longer in\n\t\t");
	put_paths(&writing);
	buf_add_z(out, ") at=$longer ;;\n\t\t*) break ;;\n\t\tesac\n\tdone\n\tcase ${words[CURRENT - 1]} in\n\t");
	put_flag_names(out, table, true);
	buf_add_z(out, ") _files; return ;;\n\t");
	put_flag_names(out, table, false);
	buf_add_z(out, ") return ;;\n\tesac\n\tcase $at in\n\t'') candidates=(");
	each_next(table, STR_EMPTY, zsh_word, &writing);
	buf_add_z(out, " ) ;;\n");
	each_group(table, zsh_group, &writing);
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (shown(verb))
			put_zsh_verb(out, verb);
	}
	buf_add_z(out,
		  "\tesac\n\t_describe aileron candidates\n}\n"
		  "if [ \"$funcstack[1]\" = _aileron ]; then _aileron \"$@\"; else compdef _aileron aileron; fi\n");
}

/* ---------------------------------------------------------------------------------------------------------------- fish */

struct fish_writing {
	struct buf *out;
	struct str group;
};

static void fish_word(void *user, struct str word, const char *about)
{
	struct fish_writing *writing = user;
	buf_addf(writing->out, "complete -c aileron -n '__aileron_at \"%.*s\"' -a %.*s -d ", STR_FMT(writing->group),
		 STR_FMT(word));
	put_quoted(writing->out, str_from(about), "\\'");
	buf_add_char(writing->out, '\n');
}

static void fish_group(void *user, struct str group)
{
	struct writing *writing = user;
	struct fish_writing inner = {.out = writing->out, .group = group};
	each_next(writing->table, group, fish_word, &inner);
}

static void put_fish_verb(struct buf *out, const struct verb *verb)
{
	const struct verb_flag *flag;
	for (size_t n = 0; (flag = flag_at(verb, n)) != NULL; n++) {
		const char *kind = !verb_flag_takes_next(flag) ? "" : takes_path(flag) ? " -r -F" : " -x";
		buf_addf(out, "complete -c aileron -n '__aileron_at \"%s\"' -l %s%s -d ", verb->words, flag->name,
			 kind);
		put_quoted(out, str_from(flag->help), "\\'");
		buf_add_char(out, '\n');
	}
	if (strchr(verb->arguments, '|') != NULL) {
		buf_addf(out, "complete -c aileron -n '__aileron_at \"%s\"' -a '", verb->words);
		for (const char *c = verb->arguments; *c != '\0'; c++)
			buf_add_char(out, *c == '|' ? ' ' : *c);
		buf_add_z(out, "'\n");
	}
	if (strstr(verb->arguments, "FOLDER") != NULL)
		buf_addf(out, "complete -c aileron -n '__aileron_at \"%s\"' -a '(__fish_complete_directories)'\n",
			 verb->words);
	else if (strstr(verb->arguments, "FILE") != NULL)
		buf_addf(out, "complete -c aileron -n '__aileron_at \"%s\"' -F\n", verb->words);
	if (verb->names != NULL)
		buf_addf(out, "complete -c aileron -n '__aileron_at \"%s\"' -a '(aileron names %s 2>/dev/null)'\n",
			 verb->words, verb->names);
}

static void fish_path(void *user, struct str group)
{
	struct writing *writing = user;
	buf_addf(writing->out, " '%.*s'", STR_FMT(group));
}

void completion_fish(struct buf *out, const struct verb *table)
{
	struct writing writing = {.out = out, .table = table};
	buf_add_z(out, "# completion of aileron for fish; made by 'aileron completion fish'\n"
		       "function __aileron_at\n"
		       "\tset -l at ''\n"
		       "\tfor word in (commandline -opc)[2..-1]\n"
		       "\t\tset -l longer (string trim -- \"$at $word\")\n"
		       "\t\tif contains -- $longer");
	each_group(table, fish_path, &writing);
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (shown(verb))
			fish_path(&writing, str_from(verb->words));
	}
	buf_add_z(out, "\n\t\t\tset at $longer\n\t\telse if not contains -- $at");
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if ((verb->marks & VERB_PASSES_ON) != 0)
			fish_path(&writing, str_from(verb->words));
	}
	buf_add_z(out, "\n\t\t\tbreak\n\t\telse if not string match -q -- '-*' $word\n\t\t\treturn 1\n\t\tend\n\tend\n"
		       "\ttest \"$at\" = \"$argv[1]\"\nend\ncomplete -c aileron -f\n");
	fish_group(&writing, STR_EMPTY);
	each_group(table, fish_group, &writing);
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (shown(verb))
			put_fish_verb(out, verb);
	}
}
