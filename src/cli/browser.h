/*
 * browser: an address, opened in the person's browser
 *
 * Addresses carry codes that must not stand in an argument list, where every user of the machine could read them. So
 * xdg-open gets a file of ours (0600, in the state directory) that leads to the address.
 */
#pragma once
#include "cli/cli.h"

/* SYSTEM when there is no xdg-open, or it fails; the caller then prints the address. */
int browser_open(struct cli *cli, struct str url, struct err *err) __attribute__((warn_unused_result));
