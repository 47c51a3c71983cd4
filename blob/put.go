package blob

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"os"

	"github.com/openams/openams/ams"
)

// PutOptions go with the bytes of a blob.
type PutOptions struct {
	Size     int64 // how many bytes will come; 0: unknown
	Headers  ams.BlobHeaders
	Metadata map[string]string
	Tier     string
	Tags     map[string]string
	Copy     *ams.Copy // where the bytes come from, when they are copied
	If       Conditions
	MD5      []byte  // of the bytes, verified when not nil
	CRC64    *uint64 // of the bytes, verified when not nil
}

// Failures of the bytes themselves.
var (
	ErrMD5   error = &ams.Error{Code: ams.Invalid, Msg: "The MD5 value specified in the request did not match with the MD5 value calculated by the server."}
	ErrCRC64 error = &ams.Error{Code: ams.Invalid, Msg: "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server."}
	ErrShort error = &ams.Error{Code: ams.Invalid, Msg: "The request body ended before all of its bytes came."}
)

// Put makes a blob of what r holds, in place of any older one. It returns
// after the bytes and the record are durable. ContentMD5 of the blob becomes
// the MD5 of the bytes unless Headers has one.
func (s *Store) Put(ctx context.Context, account, container, name string, r io.Reader, o PutOptions) (*ams.Blob, error) {
	if err := s.admit(ctx, account, container, name, o.If); err != nil {
		return nil, err
	}
	x, sum, err := s.upload(ctx, Place{Account: account, Container: container, Blob: name}, r, o, true)
	if err != nil {
		return nil, err
	}
	if o.Headers.ContentMD5 == nil {
		o.Headers.ContentMD5 = sum
	}
	return s.put(ctx, account, container, name, x, o)
}

// PutFile makes a blob of a finished local file by moving it into the store;
// whatever happens, localPath may be gone afterwards. MD5 and CRC64 of o are
// not looked at.
func (s *Store) PutFile(ctx context.Context, account, container, name, localPath string, o PutOptions) (*ams.Blob, error) {
	if err := s.admit(ctx, account, container, name, o.If); err != nil {
		return nil, err
	}
	f, err := os.Open(localPath)
	if err != nil {
		return nil, err
	}
	sum := crc64.New(s.crc)
	size, err := io.Copy(sum, f)
	f.Close()
	if err != nil {
		return nil, err
	}
	file, err := s.driver.Adopt(ctx, localPath, Place{Account: account, Container: container, Blob: name})
	if err != nil {
		return nil, err
	}
	return s.put(ctx, account, container, name, ams.Extent{File: file, Length: size, CRC64: sum.Sum64(), Whole: true}, o)
}

// admit refuses early, before a body is read, what the record would refuse.
func (s *Store) admit(ctx context.Context, account, container, name string, cond Conditions) error {
	if err := ValidateName(name); err != nil {
		return err
	}
	b, err := s.records.Blob(ctx, account, container, name)
	if err != nil && !errors.Is(err, ams.ErrBlobNotFound) {
		return err
	}
	return cond.CheckWrite(b, s.now())
}

// put writes the record of a blob whose bytes are one file.
func (s *Store) put(ctx context.Context, account, container, name string, x ams.Extent, o PutOptions) (*ams.Blob, error) {
	return s.record(ctx, account, container, name, []ams.Extent{x}, func(old *ams.Blob, _ []ams.Block) (*ams.Blob, error) {
		b, err := s.fresh(account, container, name, old, o)
		if err != nil {
			return nil, err
		}
		b.Size, b.Extents = x.Length, []ams.Extent{x}
		return b, nil
	})
}

// fresh is the record, without bytes, of a blob that takes old's place.
func (s *Store) fresh(account, container, name string, old *ams.Blob, o PutOptions) (*ams.Blob, error) {
	if err := o.If.CheckWrite(old, s.now()); err != nil {
		return nil, err
	}
	now, etag := s.stamp()
	b := &ams.Blob{
		StorageAccount: account, Container: container, Name: name,
		ETag: etag, Created: now, LastModified: now,
		Headers: o.Headers, Metadata: o.Metadata, Tier: o.Tier, Tags: o.Tags, Copy: o.Copy,
	}
	if old != nil {
		b.Lease = keptLease(old.Lease, now)
	}
	return b, nil
}

// record commits what make returns and removes the files that it replaces. On
// failure it removes the new files, which are the caller's.
func (s *Store) record(ctx context.Context, account, container, name string, fresh []ams.Extent, make func(*ams.Blob, []ams.Block) (*ams.Blob, error)) (*ams.Blob, error) {
	// The body is here and durable: a client that hangs up now does not undo it.
	ctx = context.WithoutCancel(ctx)
	var made *ams.Blob
	var before []ams.Extent
	err := s.records.PutBlob(ctx, account, container, name, func(old *ams.Blob, staged []ams.Block) (*ams.Blob, error) {
		made = nil
		b, err := make(old, staged)
		if err != nil {
			return nil, err
		}
		made, before = b, nil
		if old != nil {
			before = append(before, old.Extents...)
		}
		for _, k := range staged {
			before = append(before, ams.Extent{File: k.File})
		}
		return b, nil
	})
	switch {
	case err == nil:
		s.discard(ctx, unnamed(before, made.Extents))
		s.tell(account, container, name)
		return made, nil
	case made == nil: // refused before anything was written
		s.discard(ctx, unnamed(fresh, nil))
		return nil, err
	}
	// The commit itself failed, and may yet have happened: the record decides.
	// The files stay; the next Recover takes those that nothing names.
	if b, again := s.records.Blob(ctx, account, container, name); again == nil && b.ETag == made.ETag {
		return made, nil
	}
	return nil, err
}

// upload writes r to a new file. sum is the MD5, made when withMD5 or when o
// has one to verify.
func (s *Store) upload(ctx context.Context, place Place, r io.Reader, o PutOptions, withMD5 bool) (x ams.Extent, sum []byte, err error) {
	up, err := s.driver.Create(ctx, place)
	if err != nil {
		return x, nil, err
	}
	defer up.Abort()
	crc := crc64.New(s.crc)
	sums := []hash.Hash{crc}
	if withMD5 || o.MD5 != nil {
		sums = append(sums, md5.New())
	}
	n, err := copyAndSum(up, r, o.Size, sums)
	if err != nil {
		return x, nil, err
	}
	if o.Size > 0 && n != o.Size {
		return x, nil, ErrShort
	}
	if len(sums) > 1 {
		sum = sums[1].Sum(nil)
	}
	if o.MD5 != nil && !bytes.Equal(o.MD5, sum) {
		return x, nil, ErrMD5
	}
	if o.CRC64 != nil && *o.CRC64 != crc.Sum64() {
		return x, nil, ErrCRC64
	}
	file, err := up.Commit(ctx)
	if err != nil {
		return x, nil, err
	}
	return ams.Extent{File: file, Length: n, CRC64: crc.Sum64(), Whole: !place.Staged}, sum, nil
}

// pieceSize is how much of a body is in memory at a time, thrice.
const pieceSize = 256 << 10

// copyAndSum copies r to w and adds every byte to sums. The sums are made
// beside the copying, because MD5 is slower than network and disk.
func copyAndSum(w io.Writer, r io.Reader, size int64, sums []hash.Hash) (n int64, err error) {
	if size > 0 && size <= pieceSize {
		buf := make([]byte, size+1) // one more, to see a body that is too long
		k, err := fill(r, buf)
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("read body: %w", err)
		}
		for _, h := range sums {
			h.Write(buf[:k])
		}
		_, err = w.Write(buf[:k])
		return int64(k), err
	}
	free, full := make(chan []byte, 3), make(chan []byte, 3)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range full {
			for _, h := range sums {
				h.Write(p)
			}
			free <- p[:cap(p)]
		}
	}()
	defer func() {
		close(full)
		<-done
	}()
	for made := 0; ; {
		var buf []byte
		if made < cap(free) {
			buf = make([]byte, pieceSize)
			made++
		} else {
			buf = <-free
		}
		k, err := fill(r, buf)
		if k > 0 {
			full <- buf[:k]
			if _, err := w.Write(buf[:k]); err != nil {
				return n, err
			}
			n += int64(k)
		}
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, fmt.Errorf("read body: %w", err)
		}
	}
}

// fill reads until buf is full or r ends. io.ReadFull would not do: it reports
// an end as io.ErrUnexpectedEOF, which is also how a body breaks off.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	if n == len(buf) {
		err = nil
	}
	return n, err
}
