/*
 * lives: the two that egress may have
 *
 * Started by the developer's harness (connector/egress_link), descriptor 3 is a stream and egress_protocol.h is spoken on
 * it to the parent. Started by the daemon's parent, it is a link of whole frames (supervise.h), and whoever is to be talked
 * to comes through it. Each returns the exit status.
 */
#pragma once

int live_under_harness(int argc, char **argv);
int live_under_parent(int argc, char **argv);
