package account

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
)

// ClearBlobs are the files of assets as those see them who encode and stream
// them. The files of a storage-encrypted asset are read in the clear, and written
// encrypted; others are what they are in the blob store. An ETag tells a file
// from the same bytes under another key or initialization vector.
type ClearBlobs struct{ s *Server }

// ClearBlobs returns them.
func (s *Server) ClearBlobs() *ClearBlobs { return &ClearBlobs{s} }

// storageEncryption is the EncryptionScheme of files that this package decrypts.
const storageEncryption = "StorageEncryption"

// A vault is a storage-encrypted asset with what opens it.
type vault struct {
	asset *ams.Asset
	keys  map[string][]byte // by id
	own   string            // of the key that is linked to the asset; empty: none
	files map[string]*ams.AssetFile
}

// vault finds the storage-encrypted asset of a container; nil if its asset is
// another, or there is none.
func (s *Server) vault(ctx context.Context, account, container string) (v *vault, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		v = nil
		asset, err := tx.AssetByContainer(account, container)
		if ams.CodeOf(err) == ams.NotFound || err == nil && asset.Options != ams.StorageEncrypted {
			return nil
		}
		if err != nil {
			return err
		}
		v = &vault{asset: asset, keys: map[string][]byte{}, files: map[string]*ams.AssetFile{}}
		linked, err := tx.AssetKeys(asset.Account, asset.ID)
		if err != nil {
			return err
		}
		for _, k := range linked {
			if k.Type == ams.StorageKey {
				v.own, v.keys[k.ID] = k.ID, k.Value
			}
		}
		files, err := tx.AssetFiles(asset.Account, asset.ID)
		if err != nil {
			return err
		}
		for _, f := range files {
			v.files[f.Name] = f
			id := bareKey(f.EncryptionKey)
			if !f.Encrypted || id == "" || v.keys[id] != nil {
				continue
			}
			k, err := tx.Key(asset.Account, id)
			if err == nil && k.Type == ams.StorageKey {
				v.keys[k.ID] = k.Value
			} else if err != nil && ams.CodeOf(err) != ams.NotFound {
				return err
			}
		}
		return nil
	})
	return v, err
}

// bareKey is the guid of a key as an AssetFile names it.
func bareKey(id string) string {
	const prefix = "nb:kid:UUID:"
	if len(id) > len(prefix) && strings.EqualFold(id[:len(prefix)], prefix) {
		id = id[len(prefix):]
	}
	return normalID(id)
}

// A lock is the encryption of one file.
type lock struct {
	stream  func(off int64) cipher.Stream
	version string // of the ETag
}

// lock returns the encryption of a file; nil for one that its client did not
// encrypt, or by another scheme.
func (v *vault) lock(name string) (*lock, error) {
	if v == nil {
		return nil, nil
	}
	f := v.files[name]
	if f == nil || !f.Encrypted || f.EncryptionScheme != "" && !strings.EqualFold(f.EncryptionScheme, storageEncryption) {
		return nil, nil
	}
	id := bareKey(f.EncryptionKey)
	key := v.keys[id]
	if key == nil {
		id, key = v.own, v.keys[v.own]
	}
	if key == nil {
		return nil, ams.Errorf(ams.Invalid, "The file '%s' is storage encrypted, and the asset '%s' is linked to no storage encryption key.", name, v.asset.Label)
	}
	iv, err := parseIV(f.InitializationVector)
	if err != nil {
		return nil, ams.Errorf(ams.Invalid, "The file '%s' is storage encrypted, and its InitializationVector is not a number of 64 bits in decimal digits.", name)
	}
	c, err := ams.NewStorageCipher(key, iv)
	if err != nil {
		return nil, err
	}
	return &lock{c.At, fmt.Sprintf("%s%x", etagMark, sha256.Sum256(fmt.Appendf(nil, "%s %d", id, iv)))[:len(etagMark)+8]}, nil
}

// etagMark begins what is added to the ETag of the store.
const etagMark = "-"

// parseIV reads an initialization vector: an unsigned number, which .NET may
// have printed as a signed one.
func parseIV(s string) (uint64, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n), nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// Stat is blob.Store's.
func (c *ClearBlobs) Stat(ctx context.Context, account, container, name string) (*ams.Blob, error) {
	b, err := c.s.Blobs.Stat(ctx, account, container, name)
	if err != nil {
		return nil, err
	}
	v, err := c.s.vault(ctx, account, container)
	if err != nil {
		return nil, err
	}
	return v.mark(b), nil
}

// mark is b with the ETag of its clear bytes. What cannot be opened fails when it
// is.
func (v *vault) mark(b *ams.Blob) *ams.Blob {
	l, err := v.lock(b.Name)
	if err != nil || l == nil {
		return b
	}
	marked := *b
	marked.ETag += l.version
	return &marked
}

// All is blob.Store's.
func (c *ClearBlobs) All(ctx context.Context, account, container, prefix string) iter.Seq2[*ams.Blob, error] {
	return func(yield func(*ams.Blob, error) bool) {
		v, err := c.s.vault(ctx, account, container)
		if err != nil {
			yield(nil, err)
			return
		}
		for b, err := range c.s.Blobs.All(ctx, account, container, prefix) {
			if err == nil {
				b = v.mark(b)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// Open is blob.Store's. A file whose key or initialization vector is missing is
// Invalid.
func (c *ClearBlobs) Open(ctx context.Context, account, container, name string) (*blob.Reader, error) {
	return c.open(ctx, account, container, name, c.s.Blobs.Open)
}

// OpenLocal is blob.Store's; the reader has no local path if it decrypts.
func (c *ClearBlobs) OpenLocal(ctx context.Context, account, container, name string) (*blob.Reader, error) {
	return c.open(ctx, account, container, name, c.s.Blobs.OpenLocal)
}

func (c *ClearBlobs) open(ctx context.Context, account, container, name string, open func(ctx context.Context, account, container, name string) (*blob.Reader, error)) (*blob.Reader, error) {
	v, err := c.s.vault(ctx, account, container)
	if err != nil {
		return nil, err
	}
	l, err := v.lock(name)
	if err != nil {
		return nil, err
	}
	r, err := open(ctx, account, container, name)
	if err == nil && l != nil {
		r.Decrypt(l.stream, l.version)
	}
	return r, err
}

// PutFile is blob.Store's. Into a storage-encrypted asset the file goes
// encrypted by the asset's key, which is made if it has none, and by an
// initialization vector of its own, which its AssetFile says.
func (c *ClearBlobs) PutFile(ctx context.Context, account, container, name, localPath string, o blob.PutOptions) (*ams.Blob, error) {
	v, err := c.s.vault(ctx, account, container)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return c.s.Blobs.PutFile(ctx, account, container, name, localPath, o)
	}
	file, err := os.Open(localPath)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// The record is first: bytes that nothing can read would be worse than a
	// record without bytes.
	l, err := c.s.seal(ctx, v.asset, name, info.Size(), o.Headers.ContentType)
	if err != nil {
		return nil, err
	}
	o.Size = info.Size()
	b, err := c.s.Blobs.Put(ctx, account, container, name, cipher.StreamReader{S: l.stream(0), R: io.LimitReader(file, info.Size())}, o)
	if err != nil {
		return nil, err
	}
	marked := *b
	marked.ETag += l.version
	return &marked, os.Remove(localPath)
}

// seal records that a file of a storage-encrypted asset is encrypted, by a new
// initialization vector, and returns how.
func (s *Server) seal(ctx context.Context, asset *ams.Asset, name string, size int64, mime string) (*lock, error) {
	var seed [8]byte
	rand.Read(seed[:])
	iv := binary.BigEndian.Uint64(seed[:])
	fresh := make([]byte, 32)
	rand.Read(fresh)
	id := uuid.NewString()
	v := &vault{asset: asset}
	err := s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		now := s.now()
		keys, err := tx.AssetKeys(asset.Account, asset.ID)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(keys, func(k *ams.Key) bool { return k.Type == ams.StorageKey })
		var key *ams.Key
		if i >= 0 {
			key = keys[i]
		} else {
			key = &ams.Key{Account: asset.Account, ID: id, Type: ams.StorageKey, Value: fresh, Created: now, LastModified: now}
			key.Checksum = key.Sum()
			if err := tx.InsertKey(key); err != nil {
				return err
			}
			if err := tx.LinkKey(asset.Account, asset.ID, key.ID); err != nil {
				return err
			}
		}
		v.own, v.keys = key.ID, map[string][]byte{key.ID: key.Value}
		files, err := tx.AssetFiles(asset.Account, asset.ID)
		if err != nil {
			return err
		}
		f := &ams.AssetFile{Account: asset.Account, ID: uuid.NewString(), Asset: asset.ID, Name: name, Options: asset.Options, Created: now}
		write := tx.InsertAssetFile
		if i := slices.IndexFunc(files, func(f *ams.AssetFile) bool { return f.Name == name }); i >= 0 {
			f, write = files[i], tx.UpdateAssetFile
		}
		f.Size, f.MIMEType, f.LastModified = size, mime, now
		f.Encrypted, f.EncryptionScheme, f.EncryptionVersion = true, storageEncryption, "1.0"
		f.EncryptionKey, f.InitializationVector = "nb:kid:UUID:"+key.ID, strconv.FormatUint(iv, 10)
		v.files = map[string]*ams.AssetFile{name: f}
		return write(f)
	})
	if err != nil {
		return nil, err
	}
	return v.lock(name)
}

// Delete is blob.Store's, with the record of a file that PutFile encrypted.
func (c *ClearBlobs) Delete(ctx context.Context, account, container, name string, cond blob.Conditions) error {
	v, err := c.s.vault(ctx, account, container)
	if err != nil {
		return err
	}
	for i, etag := range cond.IfMatch {
		cond.IfMatch[i], _, _ = strings.Cut(etag, etagMark)
	}
	if err := c.s.Blobs.Delete(ctx, account, container, name, cond); err != nil || v == nil || v.files[name] == nil {
		return err
	}
	_, err = gone(c.s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteAssetFile(v.asset.Account, v.files[name].ID) }))
	return err
}

// EncryptionKey is the storage encryption key of an asset, and the files that it
// encrypts. It is Invalid for an asset that is not storage encrypted.
func (a *Account) EncryptionKey(ctx context.Context, name string) (key []byte, files []*ams.AssetFile, err error) {
	asset, err := a.Asset(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	v, err := a.s.vault(ctx, asset.StorageAccount, asset.Container)
	if err != nil {
		return nil, nil, err
	}
	if v == nil || v.own == "" {
		return nil, nil, ams.Invalidf("", "The asset '%s' is not storage encrypted: its storageEncryptionFormat is '%s'.", asset.Name, asset.Format)
	}
	for _, f := range v.files {
		if f.Encrypted {
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b *ams.AssetFile) int { return strings.Compare(a.Name, b.Name) })
	return v.keys[v.own], files, nil
}
