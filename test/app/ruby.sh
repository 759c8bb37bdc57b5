#!/bin/sh
# SPDX-License-Identifier: MIT
LIMIT=240
. "$(dirname "$0")/lib.sh"
need ruby

cat >work.rb <<'END'
require 'digest'
require 'json'
r = Random.new(42)
store = Hash.new { |h, k| h[k] = [] }
150_000.times do |i|
  key = "key#{r.rand(5000)}"
  store[key] << ('v' * r.rand(300)) + i.to_s
  store.delete("key#{r.rand(5000)}") if i % 50 == 0
  store[key].shift if store[key].size > 20
end
text = JSON.generate(store.sort.to_h)
back = JSON.parse(text)
GC.start
GC.compact if GC.respond_to?(:compact)
puts store.size, text.bytesize, Digest::SHA256.hexdigest(text), back == store.sort.to_h
puts text.scan(/v+(\d)\1/).size
END
compare work ruby work.rb

cat >threads.rb <<'END'
result = 6.times.map do |n|
  Thread.new { a = []; 20_000.times { |i| a << "#{n}:#{i}" * 3; a.shift if a.size > 500 }; a.join.sum }
end.map(&:value)
puts result
q = Queue.new
t = Thread.new { n = 0; while (s = q.pop); n += s.size; end; n }
10_000.times { |i| q << 'x' * (i % 400) }
q << nil
puts t.value
100.times { Thread.new { 'y' * 10_000 }.join }
END
compare threads ruby threads.rb

cat >fork.rb <<'END'
data = Array.new(50_000) { |i| "item #{i}" }
10.times do |n|
  r, w = IO.pipe
  pid = fork { r.close; data.map! { |s| s + n.to_s }; GC.start; w << data.join.sum; exit!(0) }
  w.close
  puts r.read
  Process.wait(pid)
  exit 1 unless $?.success?
end
END
compare fork ruby fork.rb
finish
