/* JSONTestSuite: y_ files must be read, n_ files refused, i_ files are our choice, which stands here. */
#include "text/json.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "skips.h"

#define FOLDER SHARED_VECTORS "/json-test-suite/test_parsing"

/* What the standard allows and we do not read. */
static const struct {
	const char *file;
	const char *why;
} stricter[] = {
	{"y_object_duplicated_key.json", "duplicate key"},
	{"y_object_duplicated_key_and_value.json", "duplicate key"},
	{"y_object_escaped_null_in_key.json", "U+0000"},
	{"y_string_null_escape.json", "U+0000"},
};

/* What the standard leaves open. docs/formats/json.md explains the answers. */
static const struct {
	const char *file;
	bool read;
} our_choice[] = {
	/* numbers: too small is zero, integers beyond int64 are doubles, too large for a double is refused */
	{"i_number_double_huge_neg_exp.json", true},
	{"i_number_huge_exp.json", false},
	{"i_number_neg_int_huge_exp.json", false},
	{"i_number_pos_double_huge_exp.json", false},
	{"i_number_real_neg_overflow.json", false},
	{"i_number_real_pos_overflow.json", false},
	{"i_number_real_underflow.json", true},
	{"i_number_too_big_neg_int.json", true},
	{"i_number_too_big_pos_int.json", true},
	{"i_number_very_big_negative_int.json", true},
	/* escapes of half a surrogate pair */
	{"i_object_key_lone_2nd_surrogate.json", false},
	{"i_string_1st_surrogate_but_2nd_missing.json", false},
	{"i_string_1st_valid_surrogate_2nd_invalid.json", false},
	{"i_string_incomplete_surrogate_and_escape_valid.json", false},
	{"i_string_incomplete_surrogate_pair.json", false},
	{"i_string_incomplete_surrogates_escape_valid.json", false},
	{"i_string_invalid_lonely_surrogate.json", false},
	{"i_string_invalid_surrogate.json", false},
	{"i_string_inverted_surrogates_U+1D11E.json", false},
	{"i_string_lone_second_surrogate.json", false},
	/* bytes that are not UTF-8 */
	{"i_string_UTF-16LE_with_BOM.json", false},
	{"i_string_UTF-8_invalid_sequence.json", false},
	{"i_string_UTF8_surrogate_U+D800.json", false},
	{"i_string_invalid_utf-8.json", false},
	{"i_string_iso_latin_1.json", false},
	{"i_string_lone_utf8_continuation_byte.json", false},
	{"i_string_not_in_unicode_range.json", false},
	{"i_string_overlong_sequence_2_bytes.json", false},
	{"i_string_overlong_sequence_6_bytes.json", false},
	{"i_string_overlong_sequence_6_bytes_null.json", false},
	{"i_string_truncated-utf-8.json", false},
	{"i_string_utf16BE_no_BOM.json", false},
	{"i_string_utf16LE_no_BOM.json", false},
	/* structure */
	{"i_structure_500_nested_arrays.json", true},
	{"i_structure_UTF-8_BOM_empty_object.json", false},
};

/* Whether the file must be read; fails for one that no table knows. */
static bool expected(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(stricter); i++) {
		if (strcmp(name, stricter[i].file) == 0)
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(our_choice); i++) {
		if (strcmp(name, our_choice[i].file) == 0)
			return our_choice[i].read;
	}
	if (name[0] != 'y' && name[0] != 'n')
		fail_msg("no answer is recorded for %s", name);
	return name[0] == 'y';
}

static bool can_be_read(const char *name)
{
	AUTO_FREE char *path = xasprintf("%s/%s", FOLDER, name);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	static char bytes[1 << 20];
	size_t n = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	assert_true(n < sizeof bytes);
	/* A copy of the exact size lets the sanitizer see a read past the end. */
	AUTO_FREE char *copy = xmalloc(n > 0 ? n : 1);
	memcpy(copy, bytes, n);
	AUTO(json) *json = json_parse(str_of(copy, n), JSON_READ_STRICT, NULL);
	return json != NULL;
}

static void every_file_is_read_or_refused_as_recorded(void **state)
{
	(void)state;
	DIR *folder = opendir(FOLDER);
	if (folder == NULL) {
		skip_because("no vectors in " FOLDER);
	}
	size_t files = 0;
	size_t wrong = 0;
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		const char *name = entry->d_name;
		if (!str_ends(str_from(name), S(".json")))
			continue;
		files++;
		bool want = expected(name);
		if (can_be_read(name) != want) {
			print_error("%s must be %s\n", name, want ? "read" : "refused");
			wrong++;
		}
	}
	closedir(folder);
	assert_int_equal(wrong, 0);
	assert_true(files >= 318);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_is_read_or_refused_as_recorded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
