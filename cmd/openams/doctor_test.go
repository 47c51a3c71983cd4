package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
)

func TestDoctor(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	key := bytes.Repeat([]byte{7}, 32)
	if err := os.WriteFile(filepath.Join(dir, "secrets", "catalog.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := catalog.Open(ctx, catalog.Config{Path: filepath.Join(dir, "openams.db"), Key: [32]byte(key)})
	if err != nil {
		t.Fatal(err)
	}
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	store := blob.New(db, driver, blob.Options{})
	if _, err := store.CreateContainer(ctx, "acct", "box", blob.ContainerOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sound", "changed", "cut", "missing"} {
		if _, err := store.Put(ctx, "acct", "box", name, strings.NewReader("the bytes of "+name), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.StageBlock(ctx, "acct", "box", "staged", "AAAA", strings.NewReader("a block"), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.TakeSnapshot(ctx, "acct", "box", "sound", blob.Conditions{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := doctorCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{"--data", dir}, args...))
		err := cmd.ExecuteContext(ctx)
		return out.String(), err
	}
	if out, err := run(); err != nil || !strings.Contains(out, "6 blobs and blocks, 99 bytes read: 0 damaged; 0 files") {
		t.Fatalf("a sound folder: %v\n%s", err, out)
	}
	box := filepath.Join(dir, "blobs", "acct", "box")
	for name, text := range map[string]string{"changed": "the bytes of chanGed", "cut": "the b", "stray": "nobody knows me"} {
		if err := os.WriteFile(filepath.Join(box, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(box, "missing")); err != nil {
		t.Fatal(err)
	}
	out, err := run("--repair")
	if err == nil {
		t.Error("a damaged folder is sound")
	}
	for _, want := range []string{`"acct/box/changed"`, `"acct/box/cut"`, `"acct/box/missing"`, "no record names acct/box/stray", "3 damaged; 1 files", "moved aside to blobs/.orphans: 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(box, "stray")); err == nil {
		t.Error("the stray file is still there")
	}
	if out, _ := run(); !strings.Contains(out, "3 damaged; 0 files") {
		t.Errorf("after the repair:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "absent")); err == nil {
		t.Error("doctor made a folder")
	}
	dir = filepath.Join(dir, "absent")
	if _, err := run(); err == nil {
		t.Error("a folder that is not there is sound")
	}
}

// TestDoctorOfTools: what ffmpeg lacks is listed with what does not work.
func TestDoctorOfTools(t *testing.T) {
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg")
	}
	out, err := run(doctorCommand(), "")
	if err != nil || !strings.Contains(out, "  yes  encoder libx264\n") || !strings.Contains(out, "  yes  protocol file\n") {
		t.Errorf("%v\n%s", err, out)
	}
	poor := filepath.Join(t.TempDir(), "ffmpeg")
	for without, want := range map[string]string{
		"loudnorm": "  no   filter loudnorm: not available: the option openams.loudness\n",
		"libx264":  "  NO   encoder libx264: openams cannot encode without it\n",
	} {
		if err := os.WriteFile(poor, []byte("#!/bin/sh\n"+real+" \"$@\" | grep -vw -e --enable-"+without+" -e "+without+" | cat\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := run(doctorCommand(), "", "--ffmpeg", poor)
		if (err != nil) != (without == "libx264") || !strings.Contains(out, want) {
			t.Errorf("without %s: %v\n%s", without, err, out)
		}
	}
	if _, err := run(doctorCommand(), "", "--repair"); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a repair of nothing: %v", err)
	}
}

// TestDoctorOfDamagedRecords damages the catalog itself: what it no longer
// names must not be moved aside.
func TestDoctorOfDamagedRecords(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		damage func(data []byte) []byte
		want   string
	}{
		{"emptied", func([]byte) []byte { return nil }, "empty"},
		{"overwritten", func(data []byte) []byte {
			for i := 8192; i < 8192+3000; i++ {
				data[i] = byte(i * 31)
			}
			return data
		}, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
				t.Fatal(err)
			}
			key := bytes.Repeat([]byte{7}, 32)
			if err := os.WriteFile(filepath.Join(dir, "secrets", "catalog.key"), key, 0o600); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "openams.db")
			db, err := catalog.Open(ctx, catalog.Config{Path: path, Key: [32]byte(key)})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := doctorCommand()
			cmd.SetOut(new(bytes.Buffer))
			cmd.SetArgs([]string{"--data", dir, "--repair"})
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			if err := cmd.ExecuteContext(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("doctor said %v, want %q", err, tt.want)
			}
		})
	}
}
