/*
 * version: what the programs call themselves
 *
 * The same as project(VERSION) in CMakeLists.txt; a test compares them.
 */
#pragma once

#define AILERON_VERSION "0.1.0"
