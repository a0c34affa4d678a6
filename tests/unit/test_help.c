#include "cli/help.h"
#include "base/mem.h"
#include "os/file.h"
#include "text/json.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "skips.h"

#define PAGE_MAX ((size_t)1 << 20)

static void help_names_every_verb(void **state)
{
	(void)state;
	struct printer out;
	printer_init(&out, -1);
	help_all(&out, verbs);
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		char row[64];
		snprintf(row, sizeof row, "\n  %s ", verb->words);
		assert_int_equal(strstr(out.out.p, row) != NULL, (verb->marks & VERB_HIDDEN) == 0);
	}
	printer_release(&out);
}

static void help_of_a_verb_names_every_flag(void **state)
{
	(void)state;
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		struct printer out;
		printer_init(&out, -1);
		help_verb(&out, verb);
		for (const struct verb_flag *flag = verb->flags; flag != NULL && flag->name != NULL; flag++) {
			char row[64];
			snprintf(row, sizeof row, "\n  --%s", flag->name);
			assert_int_equal(strstr(out.out.p, row) != NULL, flag->help != NULL);
		}
		assert_non_null(strstr(out.out.p, "--json"));
		printer_release(&out);
	}
}

/* "usage: …" of the page is the member, and each flag of the page is there. */
static void json_says_what_the_page_says(void **state)
{
	(void)state;
	for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
		struct printer page, line;
		printer_init(&page, -1);
		printer_init(&line, -1);
		help_verb(&page, verb);
		help_verb_json(&line, verb);
		AUTO(json) *json = json_parse(str_trim(buf_str(&line.out)), JSON_READ_STRICT, NULL);
		assert_non_null(json);
		struct str usage = STR_EMPTY, summary = STR_EMPTY;
		assert_true(json_get_str(json_member(json, S("usage")), &usage));
		assert_true(json_get_str(json_member(json, S("summary")), &summary));
		assert_true(str_starts(str_slice(buf_str(&page.out), strlen("usage: "), page.out.n), usage));
		assert_true(str_eq(summary, str_from(verb->summary)));
		const struct json *flags = json_member(json, S("flags"));
		size_t shown = 0;
		for (const char *at = page.out.p; (at = strstr(at, "\n  --")) != NULL; at++)
			shown++;
		assert_int_equal(json_length(flags), shown);
		printer_release(&page);
		printer_release(&line);
	}
}

/* The page that is shipped is the one that the table makes. */
static void the_manual_is_up_to_date(void **state)
{
	(void)state;
	AUTO_BUF made = BUF_INIT(PAGE_MAX), kept = BUF_INIT(PAGE_MAX);
	manual_page(&made, verbs);
	assert_true(buf_ok(&made));
	if (file_read(SOURCE_DIR "/docs/man/aileron.1", &kept, NULL) < 0 || !str_eq(buf_str(&made), buf_str(&kept)))
		fail_msg("docs/man/aileron.1 is not what 'aileron manual' prints: write it there");
}

static void scripts_name_every_verb_and_flag(void **state)
{
	(void)state;
	void (*const makers[])(struct buf * out, const struct verb *table) = {completion_bash, completion_zsh,
									      completion_fish};
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		AUTO_BUF script = BUF_INIT(PAGE_MAX);
		makers[i](&script, verbs);
		assert_true(buf_ok(&script));
		for (const struct verb *verb = verbs; verb->words != NULL; verb++) {
			bool asked = strcmp(verb->words, "names") == 0; /* by the script itself */
			assert_int_equal(strstr(script.p, verb->words) != NULL,
					 asked || (verb->marks & VERB_HIDDEN) == 0);
			for (const struct verb_flag *flag = verb->flags; flag != NULL && flag->name != NULL; flag++)
				assert_int_equal(strstr(script.p, flag->name) != NULL, flag->help != NULL);
		}
	}
}

/* ------------------------------------------------------------------------------------------------- scripts, really run */

static char folder[] = "/tmp/aileron-test-help-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
	(void)state;
	char path[256];
	snprintf(path, sizeof path, "%s/script", folder);
	unlink(path);
	return rmdir(folder);
}

/* Runs a program with one argument and gives what it prints; false when there is no such program. */
static bool output_of(const char *program, const char *argument, const char *script, char *ret, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		execlp(program, program, argument, script, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	size_t n = 0;
	ssize_t got;
	while (n + 1 < size && (got = read(ends[0], ret + n, size - 1 - n)) > 0)
		n += (size_t)got;
	ret[n] = '\0';
	close(ends[0]);
	int status;
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return false;
	assert_int_equal(status, 0);
	return true;
}

static const char *write_script(void (*make)(struct buf *out, const struct verb *table), const char *more)
{
	static char path[256];
	AUTO_BUF script = BUF_INIT(PAGE_MAX);
	make(&script, verbs);
	buf_add_z(&script, more);
	snprintf(path, sizeof path, "%s/script", folder);
	assert_int_equal(file_replace(path, buf_str(&script), 0600, NULL), 0);
	return path;
}

static void bash_completes(void **state)
{
	(void)state;
	static const struct {
		const char *words, *part;
		bool there;
	} cases[] = {
		{"aileron ''", "<vault>", true},
		{"aileron ''", "<manual>", false},
		{"aileron va", "<vault>", true},
		{"aileron va", "<audit>", false},
		{"aileron vault ''", "<member>", true},
		{"aileron vault mem", "<member>", true},
		{"aileron vault member ''", "<remove>", true},
		{"aileron vault put a/b --va", "<--value-file>", true},
		{"aileron vault put a/b --va", "<--json>", false},
		{"aileron connector call notes --json --o", "<--op>", true},
		{"aileron completion ''", "<fish>", true},
		{"aileron vault unlock --key-file /et", "</etc>", true},
		{"aileron audit list --limit ''", "<", false},
		{"aileron ''", "<names>", false},
		{"aileron runs show ''", "<runs-1>", true},
		{"aileron runs show runs", "<runs-1>", true},
		{"aileron runs show no", "<", false},
		{"aileron runs show --js", "<runs-1>", false},
		{"aileron runs list ''", "<runs-1>", false},
		{"aileron connector show github : //acme/co", "<//acme/connectors-1>", true},
		{"aileron connector show ''", "<$(touch made)>", true}, /* a word as any other */
		{"aileron launch --json ''", "<programs-1>", true},
		{"aileron launch --js", "<--json>", true},
		{"aileron launch --json claude --js", "<", false},
		{"aileron launch claude ''", "<", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char more[512], printed[8192];
		snprintf(more, sizeof more,
			 "aileron() { printf '%%s\\n' \"$2-1\" \"github://acme/$2-1\" '$(touch made)'; }\n"
			 "COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=\"${COMP_WORDS[*]}\"\n"
			 "COMP_LINE=${COMP_LINE// : /:}; COMP_POINT=${#COMP_LINE}; _aileron; printf '<%%s>\\n' "
			 "\"${COMPREPLY[@]}\"\n",
			 cases[i].words);
		if (!output_of("bash", "--norc", write_script(completion_bash, more), printed, sizeof printed))
			skip_without("bash");
		bool there = strstr(printed, cases[i].part) != NULL && strcmp(printed, "<>\n") != 0;
		if (there != cases[i].there)
			fail_msg("'%s' gives %s", cases[i].words, printed);
	}
	assert_int_equal(access("made", F_OK), -1);
}

static void other_shells_read_theirs(void **state)
{
	(void)state;
	char printed[4096];
	if (!output_of("zsh", "-n", write_script(completion_zsh, ""), printed, sizeof printed))
		skip_without("zsh");
	if (!output_of("fish", "-n", write_script(completion_fish, ""), printed, sizeof printed))
		skip_without("fish");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(help_names_every_verb),
		cmocka_unit_test(help_of_a_verb_names_every_flag),
		cmocka_unit_test(json_says_what_the_page_says),
		cmocka_unit_test(the_manual_is_up_to_date),
		cmocka_unit_test(scripts_name_every_verb_and_flag),
		cmocka_unit_test(bash_completes),
		cmocka_unit_test(other_shells_read_theirs),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
