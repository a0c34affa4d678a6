#include "base/version.h"
#include "base/limits.h"
#include "os/file.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What is built, installed and packaged is called what the programs call themselves. */
static void the_build_names_the_same_version(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 * MIB);
	assert_int_equal(file_read(SOURCE_DIR "/CMakeLists.txt", &text, NULL), 0);
	assert_true(str_find(buf_str(&text), S("project(aileron VERSION " AILERON_VERSION " ")) != STR_NPOS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_build_names_the_same_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
