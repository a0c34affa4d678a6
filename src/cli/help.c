#include "cli/help.h"
#include "base/mem.h"
#include "text/json_members.h"

#define WORDS_WIDTH 26

void help_usage(struct printer *out, const struct verb *verb)
{
	print_text(out, "aileron %s%s%s%s", verb->words, verb->flags != NULL ? " [flags]" : "",
		   verb->arguments[0] != '\0' ? " " : "", verb->arguments);
}

static struct str first_word(const struct verb *verb)
{
	struct str first;
	(void)str_cut(str_from(verb->words), ' ', &first);
	return first;
}

static void put_row(struct printer *out, const struct verb *verb)
{
	print_text(out, "  ");
	print_styled(out, PRINT_BOLD, "%-*s", WORDS_WIDTH, verb->words);
	print_text(out, " %s\n", verb->summary);
}

static bool is_listed(const struct verb *verb, struct str group)
{
	struct str words = str_from(verb->words);
	bool within = group.n == 0 || (str_starts(words, group) && (words.n == group.n || words.p[group.n] == ' '));
	return within && (verb->marks & VERB_HIDDEN) == 0;
}

void help_group(struct printer *out, const struct verb *table, struct str words)
{
	print_text(out, "usage: aileron %.*s VERB [flags] [arguments]\n\n", STR_FMT(words));
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (is_listed(verb, words))
			put_row(out, verb);
	}
	print_text(out, "\n'aileron help VERB' says more of one.\n");
}

void help_all(struct printer *out, const struct verb *table)
{
	print_text(out,
		   "aileron lets agents act on real services without holding your keys, and records what was done.\n\n"
		   "usage: aileron VERB [flags] [arguments]\n");
	struct str group = STR_EMPTY;
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if ((verb->marks & VERB_HIDDEN) != 0)
			continue;
		if (!str_eq(first_word(verb), group) && verb_is_group(table, first_word(verb)))
			print_text(out, "\n");
		else if (group.n > 0 && !str_eq(first_word(verb), group) && verb_is_group(table, group))
			print_text(out, "\n");
		else if (group.n == 0)
			print_text(out, "\n");
		group = first_word(verb);
		put_row(out, verb);
	}
	print_text(out, "\n'aileron help VERB' says what a verb takes; aileron(1) says all. Verbs that need the daemon "
			"start it.\n");
}

static void put_flags(struct printer *out, const struct verb_flag *flags)
{
	for (; flags != NULL && flags->name != NULL; flags++) {
		if (flags->help == NULL)
			continue;
		print_text(out, "  ");
		print_styled(out, PRINT_BOLD, "--%s", flags->name);
		if (flags->kind == FLAG_OPTIONAL)
			print_text(out, "[=%s]", flags->value);
		else if (flags->value != NULL)
			print_text(out, " %s", flags->value);
		print_text(out, "\n        %s%s\n", flags->help, flags->repeated ? "; may be repeated" : "");
	}
}

void help_verb(struct printer *out, const struct verb *verb)
{
	print_text(out, "usage: ");
	help_usage(out, verb);
	print_text(out, "\n\n%s.\n", verb->summary);
	if (verb->about[0] != '\0')
		print_text(out, "\n%s\n", verb->about);
	print_text(out, "\n");
	put_flags(out, verb->flags);
	put_flags(out, verb_common_flags);
}

/* ---------------------------------------------------------------------------------------------------------------- JSON */

static void put_flags_json(struct json_writer *w, const struct verb_flag *flags)
{
	for (; flags != NULL && flags->name != NULL; flags++) {
		if (flags->help == NULL)
			continue;
		jsonw_begin_object(w);
		member_z(w, "name", flags->name);
		if (flags->value != NULL)
			member_z(w, "value", flags->value);
		member_bool(w, "value_optional", flags->kind == FLAG_OPTIONAL);
		member_bool(w, "repeated", flags->repeated);
		member_z(w, "help", flags->help);
		jsonw_end_object(w);
	}
}

void help_verb_json(struct printer *out, const struct verb *verb)
{
	struct printer usage;
	struct json_writer w;
	printer_init(&usage, -1);
	help_usage(&usage, verb);
	jsonw_init(&w, &out->out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "name", verb->words);
	member_z(&w, "summary", verb->summary);
	member_str(&w, "usage", buf_str(&usage.out));
	member_z(&w, "about", verb->about);
	member_begin_array(&w, "flags");
	put_flags_json(&w, verb->flags);
	put_flags_json(&w, verb_common_flags);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	print_text(out, "\n");
	printer_release(&usage);
}

void help_group_json(struct printer *out, const struct verb *table, struct str words)
{
	for (const struct verb *verb = table; verb->words != NULL; verb++) {
		if (is_listed(verb, words))
			help_verb_json(out, verb);
	}
}
