package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/openams/openams/account"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/blob/disk"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
	"github.com/openams/openams/encoder"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/jobqueue"
)

// work encodes for a server that other processes run, until ctx ends. It
// shares the server's database and its folder of bytes and keys, and leaves
// the upkeep of both (recovery, joining, events) to the server.
func work(ctx context.Context, c *config, log *slog.Logger) (err error) {
	lock, scratch, err := openFolder(c)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(filepath.Join(c.Shared, "secrets", "catalog.key")); err != nil {
		return fmt.Errorf("--shared %s is not the data folder of a server that has run: %w", c.Shared, err)
	}
	db, blobs, err := openStore(ctx, c, c.Shared, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tools, hardware, err := findTools(ctx, c, log)
	if err != nil {
		return err
	}
	commands, err := c.commands()
	if err != nil {
		return err
	}
	outgoing, err := dialConfig(c.InputHosts)
	if err != nil {
		return err
	}
	// The states that a worker sets are events too; the server delivers them.
	events, err := notifier(c, db, outgoing, prometheus.NewRegistry(), log)
	if err != nil {
		return err
	}
	defer events.Close()
	queue := jobqueue.New(db, jobqueue.Config{})
	defer queue.Close()
	accounts := account.New(account.Config{Catalog: db, Blobs: blobs, TaskPreset: commands.TaskPreset, Log: log})
	defer accounts.Close()
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%d", host, os.Getpid())
	ended := startAll(ctx, workers(c, name, scratch, c.Shared, queue, accounts, dial.New(outgoing), tools, hardware, commands, log)...)
	log.Info("working", "version", version(), "name", name, "workers", c.Workers)
	return ended()
}

// openFolder makes and locks the data folder and empties its scratch.
func openFolder(c *config) (lock *os.File, scratch string, err error) {
	if lock, err = openData(c.Data); err != nil {
		return nil, "", err
	}
	scratch = filepath.Join(c.Data, "scratch")
	err = errors.Join(
		os.RemoveAll(scratch), // of a killed process
		os.MkdirAll(scratch, 0o700),
		os.MkdirAll(filepath.Join(c.Data, "cache", "index"), 0o700),
	)
	if err != nil {
		lock.Close()
		return nil, "", err
	}
	return lock, scratch, nil
}

// openStore opens the records and bytes of the data folder dir.
func openStore(ctx context.Context, c *config, dir string, log *slog.Logger) (*catalog.DB, *blob.Store, error) {
	key, err := onceKey(filepath.Join(dir, "secrets"), "catalog.key")
	if err != nil {
		return nil, nil, err
	}
	records := catalog.Config{URL: c.Database, Key: key}
	if c.Database == "" {
		records.Path = filepath.Join(dir, "openams.db")
	}
	db, err := catalog.Open(ctx, records)
	if err != nil {
		return nil, nil, err
	}
	driver, err := disk.New(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	room := disk.NewReserve(filepath.Join(c.Data, "reserve"), reserve)
	return db, blob.New(db, driver, blob.Options{Log: log, Room: room}), nil
}

// reserve is the bytes held back so that a full disk can still record what is
// deleted.
const reserve = 8 << 20

// findTools finds ffmpeg, makes sure that it can do what the encoder asks, and
// tries the encoders in hardware that are to be used.
func findTools(ctx context.Context, c *config, log *slog.Logger) (tools ffmpeg.Tools, hardware []string, err error) {
	if tools, err = ffmpeg.Find(c.FFmpeg, c.FFprobe); err != nil {
		return tools, nil, err
	}
	if c.FFmpegMemory > 0 {
		tools.Limits.Memory = c.FFmpegMemory << 20
	}
	build, err := tools.Check(ctx)
	if err != nil {
		return tools, nil, err
	}
	log.Info("ffmpeg found", "path", tools.FFmpeg, "version", build.Version, "namespaces", build.Apart, "confined", build.Confined)
	for _, f := range build.Missing() {
		log.Warn("ffmpeg lacks a feature", "lacks", f.String(), "for", f.For)
	}
	trials, err := encoder.TryHardware(ctx, tools, c.Hardware)
	if err != nil {
		return tools, nil, fmt.Errorf("--hardware: %w", err)
	}
	for _, t := range trials {
		switch {
		case t.Err == nil:
			log.Info("hardware encodes", "encoder", t.Encoder)
		case c.Hardware == "auto":
			log.Debug("hardware does not encode", "encoder", t.Encoder, "err", t.Err)
		default:
			log.Warn("hardware does not encode", "encoder", t.Encoder, "err", t.Err)
		}
	}
	return tools, encoder.Working(trials), nil
}

// workers are the encoding loops of this process; name is unique among the
// processes of a database, shared the data folder that they have in common.
func workers(c *config, name, scratch, shared string, queue *jobqueue.Queue, accounts *account.Server,
	inputs *dial.Client, tools ffmpeg.Tools, hardware []string, commands *encoder.Commands, log *slog.Logger) (loops []func(context.Context) error) {
	lanes := c.Lanes
	if lanes == 0 && c.Workers > 0 {
		lanes = (runtime.NumCPU() + c.Workers - 1) / c.Workers
	}
	for i := range c.Workers {
		loops = append(loops, encoder.NewWorker(encoder.WorkerConfig{
			Name:     fmt.Sprintf("%s-%d", name, i+1),
			Queue:    queue,
			Assets:   accounts,
			Blobs:    accounts.ClearBlobs(),
			Inputs:   inputs,
			Tools:    tools,
			Commands: *commands,
			Hardware: hardware,
			Scratch:  scratch,
			Lanes:    lanes,
			Chunks:   filepath.Join(shared, "cache", "chunks"),
			Share:    c.Workers > 1 || c.Database != "",
			Log:      log,

			EarlyPlay: c.EarlyPlay,
		}).Run)
	}
	return loops
}

// startAll runs loops that end with ctx and returns what waits for them all.
func startAll(ctx context.Context, loops ...func(context.Context) error) (wait func() error) {
	ended := make(chan error, len(loops))
	for _, run := range loops {
		go func() { ended <- run(ctx) }()
	}
	return func() (err error) {
		for range loops {
			if e := <-ended; !errors.Is(e, context.Canceled) {
				err = errors.Join(err, e)
			}
		}
		return err
	}
}
