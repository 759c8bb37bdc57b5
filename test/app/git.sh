#!/bin/sh
# SPDX-License-Identifier: MIT
# A repository made, cloned, repacked and read, once on libc and once on the library.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need git
need perl

GIT_CONFIG_NOSYSTEM=1
export GIT_CONFIG_NOSYSTEM
git config --global user.name Somebody
git config --global user.email somebody@example.org
git config --global init.defaultBranch main
git config --global gc.auto 0
git config --global pack.threads 2

# 2000 commits as one stream for git fast-import: every object name follows from the text.
perl -e '
	my $seed = 7;
	sub draw { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; return ($seed >> 8) % $_[0]; }
	my @files = map { join "", map { "line $_ " . draw(1 << 20) . "\n" } 1 .. 200 } 1 .. 40;
	for my $n (1 .. 2000) {
		my $i = draw(40);
		my @lines = split /^/, $files[$i];
		$lines[draw(200)] = "changed in $n " . draw(1 << 20) . "\n" for 1 .. 3;
		$files[$i] = join "", @lines;
		my $note = "commit $n\n\nIt changes file $i.\n";
		my $when = 1600000000 + $n * 60;
		print "commit refs/heads/main\n";
		print "committer Somebody <somebody\@example.org> $when +0000\n";
		print "data ", length $note, "\n$note";
		print "M 100644 inline dir", $i % 5, "/file$i\n";
		print "data ", length $files[$i], "\n$files[$i]\n";
	}' >history

# The whole life, in folder $1; what follows from the content goes to stdout.
cat >life.sh <<'END'
set -e
mkdir "$1" && cd "$1"
git init -q made && git -C made fast-import --quiet <../history
git -C made reset -q --hard main
for n in 1 2 3 4 5 6 7 8 9 10; do
	echo "more $n" >>made/dir0/file0
	GIT_AUTHOR_DATE="$((1700000000 + n)) +0000" GIT_COMMITTER_DATE="$((1700000000 + n)) +0000" \
	    git -C made commit -q -a -m "by hand $n"
done
git clone -q --no-local made cloned
git -C cloned repack -q -a -d -f --depth=30 --window=20
git -C cloned fsck --full --strict --no-progress
git -C made fsck --full --no-progress
git -C cloned log --stat --format='%H %an %ct %s' | tail -n 3000
git -C cloned log -p -n 200 --format=%H
git -C cloned rev-list --objects --all | sort
git -C cloned blame -s dir0/file0
git -C cloned grep -c changed HEAD~500
git -C cloned diff HEAD~1500 HEAD | git -C made patch-id
git -C cloned archive HEAD | cksum
git -C cloned gc -q --aggressive --prune=now
git -C cloned rev-list --count --all
END
sh life.sh on-libc >libc.out 2>libc.err || not_ok libc 'fails on libc already' libc.err
if preloaded sh life.sh on-tract >tract.out 2>tract.err; then
	ok life
else
	not_ok life "status $?" tract.err
fi
if cmp -s libc.out tract.out && [ "$(wc -l <tract.out)" -gt 10000 ]; then
	ok output
else
	diff libc.out tract.out >diff.out
	not_ok output 'differs from libc' diff.out
fi
if cmp -s libc.err tract.err; then ok stderr; else not_ok stderr 'differs' tract.err; fi
if git -C on-tract/cloned fsck --full --strict >check.out 2>&1; then
	ok fsck_by_libc
else
	not_ok fsck_by_libc 'what was packed on the library is damaged' check.out
fi
finish
