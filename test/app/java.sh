#!/bin/sh
# SPDX-License-Identifier: MIT
# The JVM keeps its own heap, but its compiler, its threads and its native buffers use malloc.
LIMIT=240
. "$(dirname "$0")/lib.sh"
need java

compare version java -version

cat >Work.java <<'END'
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Work {
	static long packed(int seed) throws Exception {
		byte[] data = new byte[200_000];
		Random r = new Random(seed);
		for (int i = 0; i < data.length; i++) data[i] = (byte)(r.nextInt(16) * r.nextInt(3));
		Deflater deflater = new Deflater();
		deflater.setInput(data);
		deflater.finish();
		byte[] out = new byte[300_000];
		int length = deflater.deflate(out);
		deflater.end();
		Inflater inflater = new Inflater();
		inflater.setInput(out, 0, length);
		byte[] back = new byte[data.length];
		inflater.inflate(back);
		inflater.end();
		if (!Arrays.equals(data, back)) throw new Exception("zlib");
		CRC32 crc = new CRC32();
		crc.update(out, 0, length);
		return crc.getValue();
	}
	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(4);
		List<Future<Long>> results = new ArrayList<>();
		for (int i = 0; i < 60; i++) { int seed = i; results.add(pool.submit(() -> packed(seed))); }
		for (Future<Long> f : results) System.out.println(f.get());
		pool.shutdown();
		long sum = 0;
		for (int i = 0; i < 500; i++) {
			ByteBuffer b = ByteBuffer.allocateDirect(1000 + i * 997 % 50_000);
			b.putInt(0, i);
			sum += b.getInt(0) + b.capacity();
		}
		for (int i = 0; i < 200; i++) {
			Thread t = new Thread(() -> { new StringBuilder("x".repeat(1000)).reverse(); });
			t.start();
			t.join();
		}
		Map<String, Integer> words = new TreeMap<>();
		for (int i = 0; i < 300_000; i++) words.merge("w" + i * 31L % 9973, i % 7, Integer::sum);
		System.out.println(sum + " " + words.size() + " " + words.hashCode());
	}
}
END
if java --list-modules 2>/dev/null | grep -q '^jdk.compiler'; then
	compare work java -Xmx256m -Xlog:disable Work.java
else
	skip work 'this java has no compiler'
fi
finish
