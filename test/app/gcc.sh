#!/bin/sh
# SPDX-License-Identifier: MIT
# Compilers on something large; the object code must be the same byte for byte.
LIMIT=480
. "$(dirname "$0")/lib.sh"
need gcc

# A C file of 1000 functions that are all different.
awk 'BEGIN {
	print "struct node { struct node *next; int key; char name[24]; };"
	print "int outside(const char *, ...);"
	for (i = 0; i < 1000; i++) {
		printf "static const int table%d[] = {", i
		for (j = 0; j < 16; j++)
			printf "%d,", (i * 7919 + j * 104729) % 65536
		print "};"
		printf "int walk%d(struct node *n, int limit)\n{\n\tint sum = %d;\n", i, i
		print "\tfor (int i = 0; n != 0 && i < limit; i++, n = n->next) {"
		printf "\t\tswitch (n->key %% %d) {\n", 5 + i % 7
		for (j = 0; j < 5; j++)
			printf "\t\tcase %d: sum += table%d[i & 15] * %d; break;\n", j, i, i + j
		printf "\t\tdefault: sum ^= outside(\"function %d: %%d\", sum);\n\t\t}\n\t}\n", i
		if (i > 0)
			printf "\treturn sum > %d ? walk%d(n, limit - 1) : sum;\n}\n", i, i - 1
		else
			print "\treturn sum;\n}"
	}
}' >large.c

# compile NAME COMPILER ARGUMENT...: twice, and compare what came out.
compile() {
	name=$1
	shift
	if ! "$@" -o libc.o 2>libc.err; then
		not_ok "$name" 'fails on libc already' libc.err
	elif ! preloaded "$@" -o tract.o 2>tract.err; then
		not_ok "$name" "status $?" tract.err
	elif ! cmp -s libc.o tract.o; then
		not_ok "$name" 'the object code differs from libc'
	elif ! cmp -s libc.err tract.err; then
		not_ok "$name" 'the messages differ from libc' tract.err
	else
		ok "$name"
	fi
}
compile c_O2 gcc -c -O2 large.c
compile c_O0_debug gcc -c -g -Wall -Wextra large.c
compile c_assembly gcc -S -O1 large.c

if ! command -v g++ >/dev/null; then
	skip cxx 'no g++'
	finish
fi
cat >large.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct tagged { int value[N % 13 + 1]; };
template <int N> int work(std::istream &in)
{
	std::map<std::string, std::vector<std::shared_ptr<tagged<N>>>> by_name;
	std::unordered_map<int, std::variant<int, std::string, tagged<N>>> by_key;
	for (std::string line; std::getline(in, line);) {
		by_name[line].push_back(std::make_shared<tagged<N>>());
		by_key.emplace(int(line.size()), line);
	}
	std::vector<std::tuple<std::string, int>> order;
	for (auto &entry : by_name)
		order.emplace_back(entry.first, int(entry.second.size()) + N);
	std::sort(order.begin(), order.end());
	std::regex pattern("(a|b)*" + std::to_string(N));
	int sum = 0;
	for (auto &entry : order)
		sum += std::regex_match(std::get<0>(entry), pattern) ? std::get<1>(entry) : 0;
	if constexpr (N > 0)
		return sum + work<N - 1>(in);
	return sum;
}
int main() { return work<24>(std::cin); }
END
compile cxx_O1 g++ -std=c++17 -c -O1 large.cc
compile cxx_link g++ -std=c++17 -O0 large.cc
echo 'struct s { int a; }; int f(void) { return undeclared + (struct s){1}; }' >wrong.c
if preloaded gcc -c wrong.c -o wrong.o 2>tract.err; then
	not_ok errors 'a wrong program compiles'
elif gcc -c wrong.c -o wrong.o 2>libc.err; cmp -s libc.err tract.err; then
	ok errors
else
	not_ok errors 'the messages differ from libc' tract.err
fi
finish
