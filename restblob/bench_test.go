package restblob_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// One upload is 64 MiB in blocks of 8 MiB, 8 at a time, durable at the end.
func BenchmarkUpload(b *testing.B) {
	e := serve(b)
	bb := e.container(b, "bench").NewBlockBlobClient("f")
	data := random(64 << 20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := bb.UploadStream(ctx, bytes.NewReader(data), &blockblob.UploadStreamOptions{BlockSize: 8 << 20, Concurrency: 8}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	e := serve(b)
	bb := e.container(b, "bench").NewBlockBlobClient("f")
	data := random(64 << 20)
	if _, err := bb.Upload(ctx, body(data), nil); err != nil {
		b.Fatal(err)
	}
	url := e.url + "/bench/f?" + full("bench")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r := must[*http.Response](b)(http.Get(url))
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != int64(len(data)) {
			b.Fatal(n, err)
		}
		r.Body.Close()
	}
}

func BenchmarkSmallBlobs(b *testing.B) {
	e := serve(b)
	c := e.container(b, "bench")
	data := random(4 << 10)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.NewBlockBlobClient(fmt.Sprint(n.Add(1))).Upload(ctx, body(data), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
}
