/*
 * main: the program `aileron`
 *
 * Reads the command line, does what comes before the verb (unlock.h) and runs it. Exit statuses: what the verb says, or that
 * of the failure's class (base/errors.def): 1 failed; 2 the command line is wrong; 69 the daemon cannot be reached; 75 no
 * person has approved it, yet or in time; 77 locked, or denied.
 */
#pragma once

int cli_main(int argc, char **argv);
