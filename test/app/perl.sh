#!/bin/sh
# SPDX-License-Identifier: MIT
LIMIT=240
. "$(dirname "$0")/lib.sh"
need perl

# Many strings that grow, hashes of hashes, regular expressions, sorting.
cat >work.pl <<'END'
use strict; use warnings;
my ($seed, %count, @grown) = (12345);
sub draw { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; return $seed % $_[0]; }
for my $round (1 .. 300000) {
	my $key = join '-', map { draw(50) } 1 .. 3;
	$count{substr $key, 0, 2}{$key} .= chr(97 + $round % 26);
	$grown[draw(500)] .= $key x draw(4);
	delete $count{substr $key, 0, 2} if draw(1000) == 0;
	$grown[draw(500)] = '' if draw(100) == 0;
}
my $total = 0;
for my $group (sort keys %count) {
	my $inner = $count{$group};
	my $long = grep { length $inner->{$_} > 3 } keys %$inner;
	printf "%s %d %d\n", $group, scalar keys %$inner, $long;
}
$total += () = ($_ // '') =~ /(\d+)-\1/g for @grown;
print "$total\n";
print unpack('%32C*', join ',', map { $_ // '' } @grown), "\n";
END
compare work perl work.pl

cat >threads.pl <<'END'
use strict; use warnings; use threads;
my @all = map { my $n = $_; threads->create(sub {
	my %h; $h{$_ * $n} = "x" x ($_ % 200) for 1 .. 20000;
	my $sum = 0; $sum += length for values %h; return $sum;
}) } 1 .. 6;
print $_->join, "\n" for @all;
END
if perl -Mthreads -e 1 2>/dev/null; then
	compare threads perl threads.pl
else
	skip threads 'this perl has none'
fi

cat >fork.pl <<'END'
my %data = map { $_ => "v$_" x 20 } 1 .. 20000;
for my $child (1 .. 20) {
	my $pid = open my $pipe, '-|';
	if (!$pid) { $data{"c$_"} = 'y' x 100 for 1 .. 2000; print scalar keys %data; exit 0; }
	print "$child ", <$pipe>, "\n"; close $pipe or die "child: $?";
}
END
compare fork perl fork.pl
finish
