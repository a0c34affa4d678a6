#include "cli/verb.h"
#include "base/buf.h"
#include "base/escape.h"
#include "base/mem.h"
#include "cli/suggest.h"

#define WORDS_MAX       3
#define SUGGESTIONS_MAX 3

const struct verb_flag verb_common_flags[] = {
	{"json", FLAG_SWITCH, NULL, false, "print JSON: one object, or for lists one a line"},
	{"help", FLAG_SWITCH, NULL, false, "print what the verb does and takes"},
	{NULL, FLAG_SWITCH, NULL, false, NULL},
};

/* --------------------------------------------------------------------------------------------------------------- words */

const struct verb *verb_named(const struct verb *table, struct str words)
{
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (str_eq(words, str_from(verb->words)))
			return verb;
	}
	return NULL;
}

bool verb_is_group(const struct verb *table, struct str words)
{
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		struct str all = str_from(verb->words);
		if (str_starts(all, words) && all.n > words.n && all.p[words.n] == ' ')
			return true;
	}
	return false;
}

static const struct verb *group_default(const struct verb *table, struct str group)
{
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		struct str first;
		(void)str_cut(str_from(verb->words), ' ', &first);
		if ((verb->marks & VERB_GROUP_DEFAULT) != 0 && str_eq(first, group))
			return verb;
	}
	return NULL;
}

/* As many words of the row as were typed. */
static struct str same_number_of_words(struct str words, struct str typed)
{
	size_t blanks = 0, end = 0;
	for (size_t i = 0; i < typed.n; i++)
		blanks += typed.p[i] == ' ';
	while (end < words.n && (words.p[end] != ' ' || blanks-- > 0))
		end++;
	return str_slice(words, 0, end);
}

/* How far the last words are apart when those before them are the same; SUGGEST_MAX when they are not near. */
static unsigned words_distance(struct str typed, struct str words)
{
	size_t last_typed = str_find_last_char(typed, ' '), last = str_find_last_char(words, ' ');
	size_t from_typed = last_typed == STR_NPOS ? 0 : last_typed + 1, from = last == STR_NPOS ? 0 : last + 1;
	struct str a = str_slice(typed, from_typed, typed.n), b = str_slice(words, from, words.n);
	if (!str_eq(str_slice(typed, 0, from_typed), str_slice(words, 0, from)) || !suggest_is_near(a, b))
		return SUGGEST_MAX;
	return suggest_distance(a, b);
}

/* Names what was meant: the nearest words, and all that are as near. */
static void add_suggestions(const struct verb *table, struct str typed, struct buf *out)
{
	unsigned nearest = SUGGEST_MAX, n = 0;
	struct str last = STR_EMPTY;
	for (const struct verb *verb = table; verb->words != NULL; verb++)
		nearest = MIN(nearest, words_distance(typed, same_number_of_words(str_from(verb->words), typed)));
	for (const struct verb *verb = table; verb->words != NULL && nearest < SUGGEST_MAX; verb++) {
		struct str words = same_number_of_words(str_from(verb->words), typed);
		if ((verb->marks & VERB_HIDDEN) != 0 || str_eq(words, last) ||
		    words_distance(typed, words) != nearest || n == SUGGESTIONS_MAX)
			continue;
		buf_addf(out, "%s'%.*s'", n++ > 0 ? " or " : "; did you mean ", STR_FMT(words));
		last = words;
	}
	if (n > 0)
		buf_add_char(out, '?');
}

int verb_refuse(const struct verb *table, struct str typed, struct err *err)
{
	AUTO_BUF hint = BUF_INIT(512);
	char shown[ESCAPE_SHOWN_SIZE];
	if (verb_is_group(table, typed)) {
		buf_addf(&hint, "; 'aileron help %s' lists its verbs", escape_shown(typed, shown));
		return fail(err, ERR_USAGE, "'%s' needs a verb behind it%s", shown, hint.p);
	}
	add_suggestions(table, typed, &hint);
	if (hint.n == 0)
		buf_add_z(&hint, "; 'aileron help' lists them");
	return fail(err, ERR_USAGE, "there is no verb '%s'%s", escape_shown(typed, shown), hint.p);
}

/* The verb at the front of the arguments, the longest that fits; *ret_n arguments are its words. */
static const struct verb *find_verb(const struct verb *table, int argc, char **argv, int *ret_n, struct err *err)
{
	AUTO_BUF words = BUF_INIT(256);
	const struct verb *found = NULL;
	bool group = false;
	for (int i = 0; i < argc && i < WORDS_MAX && argv[i][0] != '-'; i++) {
		AUTO_BUF longer = BUF_INIT(256);
		buf_addf(&longer, "%s%s%s", words.p, i > 0 ? " " : "", argv[i]);
		const struct verb *verb = verb_named(table, buf_str(&longer));
		bool deeper = verb_is_group(table, buf_str(&longer));
		if (verb == NULL && !deeper && found != NULL)
			break;
		buf_clear(&words);
		buf_add_str(&words, buf_str(&longer));
		if (verb != NULL) {
			found = verb;
			*ret_n = i + 1;
		}
		group = verb == NULL && deeper;
		if (!deeper)
			break;
	}
	if (found == NULL && group) {
		found = group_default(table, buf_str(&words));
		*ret_n = 1;
	}
	if (found == NULL)
		(void)verb_refuse(table, buf_str(&words), err);
	return found;
}

/* --------------------------------------------------------------------------------------------------------------- flags */

static const struct verb_flag *flag_in(const struct verb_flag *flags, struct str name)
{
	for (; flags != NULL && flags->name != NULL; flags++) {
		if (str_eq(name, str_from(flags->name)))
			return flags;
	}
	return NULL;
}

const struct verb_flag *verb_flag_named(const struct verb *verb, struct str name)
{
	const struct verb_flag *flag = flag_in(verb->flags, name);
	if (flag == NULL && str_eq(name, S("h")))
		name = S("help");
	return flag != NULL ? flag : flag_in(verb_common_flags, name);
}

static int refuse_flag(const struct verb *verb, struct str name, const char *typed, struct err *err)
{
	const struct verb_flag *tables[] = {verb->flags, verb_common_flags};
	char shown[ESCAPE_SHOWN_SIZE];
	escape_shown(str_from(typed), shown);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		for (const struct verb_flag *flag = tables[i]; flag != NULL && flag->name != NULL; flag++) {
			if (suggest_is_near(name, str_from(flag->name)))
				return fail(err, ERR_USAGE, "'%s' has no flag '%s'; did you mean '--%s'?", verb->words,
					    shown, flag->name);
		}
	}
	return fail(err, ERR_USAGE, "'%s' has no flag '%s'; 'aileron help %s' lists them", verb->words, shown,
		    verb->words);
}

static int set_switch(struct verb_value *value, const char *text, struct err *err)
{
	struct str word = text != NULL ? str_from(text) : S("true");
	bool on = str_eq(word, S("true")) || str_eq(word, S("1"));
	if (!on && !str_eq(word, S("false")) && !str_eq(word, S("0"))) {
		char shown[ESCAPE_SHOWN_SIZE];
		return fail(err, ERR_USAGE, "--%s is a switch: it takes =true or =false, not '%s'", value->flag->name,
			    escape_shown(word, shown));
	}
	value->on = on;
	return 0;
}

static int check_number(const struct verb_value *value, struct err *err)
{
	uint64_t number;
	char shown[ESCAPE_SHOWN_SIZE];
	if (value->flag->kind == FLAG_NUMBER && !str_to_u64(str_from(value->text), INT64_MAX, &number))
		return fail(err, ERR_USAGE, "--%s takes a whole number, not '%s'", value->flag->name,
			    escape_shown(str_from(value->text), shown));
	return 0;
}

/* One flag and, when it is the next argument, its value: how many arguments it took. */
static int parse_flag(struct verb_line *line, int argc, char **argv, struct err *err)
{
	const char *text = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	struct str name;
	struct str rest = str_cut(str_from(text), '=', &name);
	const char *given = text[name.n] == '=' ? rest.p : NULL;
	if (text[name.n] == '=' && rest.n == 0)
		given = "";
	const struct verb_flag *flag = verb_flag_named(line->verb, name);
	if (flag == NULL)
		return refuse_flag(line->verb, name, argv[0], err);
	if (line->n_values == VERB_VALUES_MAX)
		return fail(err, ERR_USAGE, "there are more than %d flags", VERB_VALUES_MAX);
	struct verb_value value = {.flag = flag, .text = given};
	int took = 1;
	if (flag->kind == FLAG_SWITCH) {
		if (set_switch(&value, given, err) < 0)
			return -1;
	} else if (flag->kind == FLAG_OPTIONAL) {
		value.on = true;
	} else if (given == NULL) {
		if (argc < 2)
			return fail(err, ERR_USAGE, "--%s needs a value: %s", flag->name, flag->value);
		value.text = argv[1];
		took = 2;
	}
	if (flag->kind != FLAG_SWITCH && check_number(&value, err) < 0)
		return -1;
	line->values[line->n_values++] = value;
	return took;
}

static int check_arguments(const struct verb_line *line, struct err *err)
{
	const struct verb *verb = line->verb;
	char shown[ESCAPE_SHOWN_SIZE];
	if (line->n_arguments < verb->least)
		return fail(err, ERR_USAGE, "'%s' needs %s: aileron %s %s", verb->words,
			    verb->least == 1 ? "an argument" : "more arguments", verb->words, verb->arguments);
	if (line->n_arguments > verb->most)
		return fail(err, ERR_USAGE, "'%s' is one argument too many for '%s'",
			    escape_shown(str_from(line->arguments[verb->most]), shown), verb->words);
	return 0;
}

static int parse_rest(struct verb_line *line, int argc, char **argv, struct err *err)
{
	bool only_arguments = false;
	for (int i = 0; i < argc;) {
		if (!only_arguments && strcmp(argv[i], "--") == 0) {
			only_arguments = true;
			i++;
		} else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
			int took = parse_flag(line, argc - i, argv + i, err);
			if (took < 0)
				return -1;
			i += took;
		} else {
			if (line->n_arguments == VERB_VALUES_MAX)
				return fail(err, ERR_USAGE, "there are more than %d arguments", VERB_VALUES_MAX);
			line->arguments[line->n_arguments++] = argv[i++];
			if ((line->verb->marks & VERB_PASSES_ON) == 0 || only_arguments)
				continue;
			only_arguments = true;
			i += i < argc && strcmp(argv[i], "--") == 0;
		}
	}
	return 0;
}

/* What people type in the first place and mean a verb by. */
static char *first_word(char *word)
{
	static char help[] = "help", version[] = "version";
	static const struct {
		const char *typed;
		char *meant;
	} words[] = {{"-h", help},    {"-help", help},       {"--help", help},
		     {"-v", version}, {"-version", version}, {"--version", version}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(word, words[i].typed) == 0)
			return words[i].meant;
	}
	return word;
}

static bool asks_for_help(const char *word)
{
	return word[0] == '-' && (strcmp(word, "-h") == 0 || strcmp(word + 1 + (word[1] == '-'), "help") == 0);
}

/* "vault --help" is "help vault": a group is no verb, and has no flags of its own. Gives how much of argv that was; 0 = none. */
static int parse_group_help(const struct verb *table, int argc, char **argv, struct verb_line *line)
{
	AUTO_BUF words = BUF_INIT(256);
	int n = 0;
	for (; n < argc && n < WORDS_MAX && argv[n][0] != '-'; n++)
		buf_addf(&words, "%s%s", n > 0 ? " " : "", argv[n]);
	if (n == argc || !asks_for_help(argv[n]) || verb_named(table, buf_str(&words)) != NULL ||
	    !verb_is_group(table, buf_str(&words)))
		return 0;
	line->verb = verb_named(table, S("help"));
	for (int i = 0; i < n && line->verb != NULL; i++)
		line->arguments[line->n_arguments++] = argv[i];
	return line->verb != NULL ? n + 1 : 0;
}

int verb_parse(const struct verb *table, int argc, char **argv, struct verb_line *ret, struct err *err)
{
	struct verb_line line = {0};
	if (argc < 2)
		return fail(err, ERR_USAGE, "no verb was given; 'aileron help' lists them");
	argv[1] = first_word(argv[1]);
	if (argv[1][0] == '-')
		return fail(err, ERR_USAGE, "flags stand behind the verb; 'aileron help' lists the verbs");
	int n = parse_group_help(table, argc - 1, argv + 1, &line);
	if (n == 0)
		line.verb = find_verb(table, argc - 1, argv + 1, &n, err);
	if (line.verb == NULL || parse_rest(&line, argc - 1 - n, argv + 1 + n, err) < 0)
		return -1;
	line.help = verb_switch(&line, "help");
	if (!line.help && check_arguments(&line, err) < 0)
		return -1;
	*ret = line;
	return 0;
}

/* -------------------------------------------------------------------------------------------------------------- values */

static const struct verb_value *last_value(const struct verb_line *line, const char *name)
{
	const struct verb_flag *flag = verb_flag_named(line->verb, str_from(name));
	if (flag == NULL)
		BUG("'%s' has no flag '%s'", line->verb->words, name);
	for (size_t i = line->n_values; i-- > 0;) {
		if (line->values[i].flag == flag)
			return &line->values[i];
	}
	return NULL;
}

bool verb_switch(const struct verb_line *line, const char *name)
{
	const struct verb_value *value = last_value(line, name);
	return value != NULL && value->on;
}

const char *verb_text(const struct verb_line *line, const char *name)
{
	const struct verb_value *value = last_value(line, name);
	return value != NULL ? value->text : NULL;
}

uint64_t verb_number(const struct verb_line *line, const char *name, uint64_t otherwise)
{
	const struct verb_value *value = last_value(line, name);
	uint64_t number;
	return value != NULL && str_to_u64(str_from(value->text), INT64_MAX, &number) ? number : otherwise;
}

const char *verb_text_at(const struct verb_line *line, const char *name, size_t n)
{
	(void)last_value(line, name);
	for (size_t i = 0; i < line->n_values; i++) {
		if (strcmp(line->values[i].flag->name, name) == 0 && n-- == 0)
			return line->values[i].text;
	}
	return NULL;
}
