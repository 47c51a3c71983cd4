package encoder

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/jobqueue"
)

// storageKey makes a key as a client does: wrapped for the server.
func (s *service) storageKey(kind ams.KeyType, value []byte) *ams.Key {
	s.t.Helper()
	ctx := s.t.Context()
	id, err := s.account.ProtectionKeyID(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := s.account.ProtectionKey(ctx, id)
	if err != nil {
		s.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	box, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, certificate.PublicKey.(*rsa.PublicKey), value, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	wrapped := base64.StdEncoding.EncodeToString(box)
	k, err := s.account.CreateKey(ctx, "", kind, account.KeyInput{Wrapped: &wrapped, ProtectionKey: &id})
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// storageCTR is the documented encryption, written out for the test.
func storageCTR(t *testing.T, key []byte, iv [8]byte, data []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, append(iv[:], make([]byte, 8)...)).XORKeyStream(out, data)
	return out
}

// A storage-encrypted film is encoded into an asset that is encrypted again, by
// a configuration that is encrypted too, and the Storage Decryption processor
// makes the clear copy of that.
func TestStorageEncryption(t *testing.T) {
	s := newService(t, jobqueue.Config{})
	w := s.worker("one")
	left := filepath.Join(w.c.Scratch, "one", "task-1", "in-0") // of a process that was killed
	if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("clear"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	clear, err := os.ReadFile(film(t, "1", "320x180", "25"))
	if err != nil {
		t.Fatal(err)
	}
	label := "encrypted"
	in, err := s.account.NewAsset(ctx, account.AssetInput{Label: &label, Options: ams.StorageEncrypted})
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte{3}, 32)
	key := s.storageKey(ams.StorageKey, value)
	if err := s.account.LinkKey(ctx, in.ID, key.ID); err != nil {
		t.Fatal(err)
	}
	sealed := storageCTR(t, value, [8]byte{0xf1, 2, 3, 4, 5, 6, 7, 8}, clear)
	if _, err := s.blobs.Put(ctx, in.StorageAccount, in.Container, "film.mp4", bytes.NewReader(sealed), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	record, err := s.account.CreateFile(ctx, ams.AssetFile{Asset: in.ID, Name: "film.mp4", Primary: true, Encrypted: true,
		EncryptionScheme: "StorageEncryption", EncryptionVersion: "1.0", EncryptionKey: "nb:kid:UUID:" + strings.ToUpper(key.ID)})
	if err != nil {
		t.Fatal(err)
	}

	// Without the vector nothing can be read, and the error says so.
	s.run(w)
	submit := func(second bool) *ams.Job {
		t.Helper()
		secret := bytes.Repeat([]byte{4}, 32)
		block, err := aes.NewCipher(secret)
		if err != nil {
			t.Fatal(err)
		}
		iv, text := bytes.Repeat([]byte{9}, 16), []byte("H264 Single Bitrate 4x3 SD")
		pad := 16 - len(text)%16
		text = append(text, bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
		encode := taskOf("Media Encoder Standard", base64.StdEncoding.EncodeToString(text), account.Port{}, 0)
		encode.Spec.Options, encode.Spec.IV = ams.ProtectedConfiguration, base64.StdEncoding.EncodeToString(iv)
		encode.Spec.KeyID = "nb:kid:UUID:" + s.storageKey(ams.ConfigurationKey, secret).ID
		encode.Outputs[0].Options = ams.StorageEncrypted
		tasks := []account.TaskRequest{encode}
		if second {
			tasks = append(tasks, taskOf(ams.StorageDecryption, "", account.Port{Output: true}, 1))
		}
		j, err := s.account.SubmitTasks(ctx, account.TaskJobRequest{Name: "j", Inputs: []string{in.ID}, Tasks: tasks})
		if err != nil {
			t.Fatal(err)
		}
		return s.ended(j, len(tasks)-1)
	}
	if j := submit(false); j.State != ams.Failed || j.Tasks[0].Error == nil || !strings.Contains(j.Tasks[0].Error.Message, "InitializationVector") {
		t.Fatalf("%s %+v", j.State, j.Tasks[0].Error)
	}
	if _, err := s.account.UpdateFile(ctx, record.ID, func(f *ams.AssetFile) { f.InitializationVector = "17366446428893087496" }); err != nil {
		t.Fatal(err)
	}
	j := submit(true)
	if body := string(j.Tasks[0].Preset.Body); body != "null" {
		t.Errorf("the record of the task has the decrypted configuration: %s", body)
	}
	if j.State != ams.Finished {
		t.Fatalf("%s: %+v %+v", j.State, j.Tasks[0].Error, j.Tasks[1].Error)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed process left is still there")
	}

	again, err := s.account.Asset(ctx, j.Tasks[0].Asset)
	if err != nil {
		t.Fatal(err)
	}
	open, err := s.account.Asset(ctx, j.Tasks[1].Asset)
	if err != nil {
		t.Fatal(err)
	}
	if again.Format != ams.MediaStorageClientEncryption || open.Format != ams.NotEncrypted {
		t.Errorf("%s %s", again.Format, open.Format)
	}
	own, files, err := s.account.EncryptionKey(ctx, again.Name)
	if err != nil || len(own) != 32 || bytes.Equal(own, value) {
		t.Fatalf("%x %v", own, err)
	}
	vectors := map[string]bool{}
	for _, f := range files {
		vectors[f.InitializationVector] = true
		_, dark := s.read(again, f.Name)
		_, bright := s.read(open, f.Name)
		r, err := s.server.ClearBlobs().Open(ctx, again.StorageAccount, again.Container, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		if bytes.Equal(dark, bright) || err != nil || !bytes.Equal(got, bright) {
			t.Errorf("%s: stored as it is %v, decrypted as the copy %v, %v", f.Name, bytes.Equal(dark, bright), bytes.Equal(got, bright), err)
		}
		var part bytes.Buffer
		if n, err := r.WriteRange(&part, 37, 1000); err != nil || !bytes.Equal(part.Bytes(), bright[37:min(1037, len(bright))]) {
			t.Errorf("%s: a range: %d %v", f.Name, n, err)
		}
		r.Close()
		if strings.HasSuffix(f.Name, ".mp4") && !bytes.Equal(bright[4:8], []byte("ftyp")) {
			t.Errorf("%s is no MP4", f.Name)
		}
	}
	if len(files) < 2 || len(vectors) != len(files) || !slices.Equal(s.files(again), s.files(open)) {
		t.Errorf("%d files, %d vectors, %q, %q", len(files), len(vectors), s.files(again), s.files(open))
	}
}
