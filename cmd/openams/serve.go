package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
	"github.com/openams/openams/encoder"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/jobqueue"
	"github.com/openams/openams/keydelivery"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/notify"
	"github.com/openams/openams/origin"
	"github.com/openams/openams/restblob"
	"github.com/openams/openams/restv2"
	"github.com/openams/openams/restv3"
	"github.com/openams/openams/restv3/arm"
)

// Names of what the first start makes.
const (
	firstGroup    = "openams"
	firstAccount  = "openams"
	firstLocation = "local"
	firstStorage  = "openamsstore"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run every role in one process",
		Long: `serve runs the management API, blob storage, streaming and the encoder on one
data folder, which it makes when it is missing. DIR/endpoints.json tells clients
all they need. Every flag is also a variable (--https-port: OPENAMS_HTTPS_PORT)
and a key of the YAML file that --config names.

With --database the records are in PostgreSQL, and more machines can encode:
  openams serve --role worker --data OWN --shared DIR --database URL
where DIR is the data folder of the server, for its keys and the stored bytes.`,
		Args: cobra.NoArgs,
	}
	serverFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := loadConfig(cmd.Flags())
		if err != nil {
			return err
		}
		log, err := newLogger(c, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if c.Role == "worker" {
			return work(cmd.Context(), c, log)
		}
		return serve(cmd.Context(), c, log, func(e *endpoints) { summary(cmd.OutOrStdout(), e, c.Data) })
	}
	return cmd
}

func summary(w io.Writer, e *endpoints, data string) {
	fmt.Fprintf(w, `openams %s is ready.

  management  %s   (plain HTTP: %s)
  blob        %s
  streaming   %s   (TLS on the same port)
  account     %s in resource group %s, subscription %s
  clients     read %s
  trust       %s

`, version(), e.Management, e.ManagementHTTP, e.BlobEndpoint, e.StreamingEndpoint, e.AccountName, e.ResourceGroup, e.SubscriptionID, endpointsFile(data), e.CAFile)
}

// serve runs a server until ctx ends. ready is told once every listener
// accepts connections.
func serve(ctx context.Context, c *config, log *slog.Logger, ready func(*endpoints)) (err error) {
	lock, scratch, err := openFolder(c)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := removeEndpoints(c.Data); err != nil {
		return err
	}

	// Records, bytes, identities.
	secrets := filepath.Join(c.Data, "secrets")
	folder, err := identity.Open(secrets)
	if err != nil {
		return err
	}
	clientID, clientSecret, err := folder.Ensure("contributor", identity.Contributor)
	if err != nil {
		return err
	}
	readerID, readerSecret, err := folder.Ensure("reader", identity.Reader)
	if err != nil {
		return err
	}
	accountKey, err := onceKey(secrets, "account.key")
	if err != nil {
		return err
	}
	delegationKey, err := onceKey(secrets, "delegation.key")
	if err != nil {
		return err
	}
	db, blobs, err := openStore(ctx, c, c.Data, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if recovered, err := blobs.Recover(ctx); err != nil {
		return err
	} else {
		log.Debug("blob store recovered", "result", recovered)
	}

	// The outside: ffmpeg, HTTP inputs, ports.
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
	inputs := dial.New(outgoing)
	tlsConfig, caFile, err := certificates(c)
	if err != nil {
		return err
	}
	ports, err := listen(c, tlsConfig)
	if err != nil {
		return err
	}
	defer ports.close()
	// Storage clients take an IP address for path style, a name for host
	// style; so blob URLs carry the address where one can be used.
	blobHost := c.Host
	if c.Host == "localhost" {
		blobHost = "127.0.0.1"
	}
	storageURL := "http://" + at(blobHost, ports.blob)

	// The account, and what works for it.
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	events, err := notifier(c, db, outgoing, registry, log)
	if err != nil {
		return err
	}
	defer events.Close()
	queue := jobqueue.New(db, jobqueue.Config{})
	defer queue.Close()
	keyDelivery := strings.TrimSuffix(c.KeyDeliveryURL, "/")
	if keyDelivery == "" {
		keyDelivery = "http://" + at(c.Host, ports.streaming) + "/keys"
	}
	accounts := account.New(account.Config{
		Catalog:       db,
		Blobs:         blobs,
		BlobEndpoint:  storageURL,
		StreamingHost: at(c.Host, ports.streaming),
		KeyDelivery:   keyDelivery,
		Supports:      commands.Supported,
		SupportsInput: encoder.SupportedInput,
		TaskPreset:    commands.TaskPreset,
		CheckURL:      inputs.Check,
		KeepJobs:      c.KeepJobs,
		Limits:        c.Limits,
		Log:           log,
	})
	defer accounts.Close()
	err = accounts.EnsureFirst(ctx, account.First{
		SubscriptionID: folder.SubscriptionID,
		ResourceGroup:  firstGroup,
		Account:        firstAccount,
		Location:       firstLocation,
		StorageAccount: firstStorage,
	})
	if err != nil {
		return err
	}
	if err := accounts.Recover(ctx); err != nil {
		return err
	}
	storageKeys, err := accounts.StorageKeys(ctx, firstStorage)
	if err != nil {
		return err
	}

	// The faces.
	metrics, err := middleware.NewMetrics(registry)
	if err != nil {
		return err
	}
	providers, err := tokenProviders(c.Providers)
	if err != nil {
		return err
	}
	rate := middleware.Rate{PerSecond: c.RateLimit, Burst: int(10 * c.RateLimit)}
	authority, err := identity.New(identity.Config{
		TenantID:  folder.TenantID,
		Hosts:     managementHosts(c, ports),
		Directory: folder,
		Key:       folder.Key(),
		Redirects: c.RedirectURLs,
		Providers: providers,
		Rate:      rate,
		KeyAccounts: []identity.KeyAccount{{
			Name:         firstAccount,
			Key:          accountKey[:],
			Subscription: folder.SubscriptionID,
			Scope:        "/subscriptions/" + folder.SubscriptionID + "/resourceGroups/" + firstGroup + "/providers/Microsoft.Media/mediaservices/" + firstAccount,
		}},
	})
	if err != nil {
		return err
	}
	facts := &arm.Facts{
		TenantID:         folder.TenantID,
		TenantName:       "openams",
		SubscriptionID:   folder.SubscriptionID,
		SubscriptionName: "openams",
		Location:         firstLocation,
		LocationName:     "Local",
		ResourceGroup:    firstGroup,
	}
	v2, err := restv2.New(restv2.Config{
		// AMS had a host name for each account; here the v2 API is the first one's.
		Account: func(r *http.Request) (*account.Account, error) {
			return accounts.Account(r.Context(), folder.SubscriptionID, firstGroup, firstAccount)
		},
		Tokens: authority,
		Path:   v2Path,
		Log:    log,
	})
	if err != nil {
		return err
	}
	var up atomic.Bool
	management := arm.LimitAddresses(rate, redirect(c, ports, mount(&up, authority, facts, v2, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), restv3.New(restv3.Config{
		Accounts: accounts,
		Facts:    facts,
		Tokens:   authority,
		TenantID: folder.TenantID,
		V2: func(r *http.Request, a *ams.Account) string {
			if a.Name != firstAccount {
				return ""
			}
			return middleware.Origin(r) + v2Path
		},
		Log: log,
	}))))
	storage := restblob.New(restblob.Config{
		Store:     blobs,
		Keys:      accounts,
		Bearer:    storageTokens{authority, folder},
		Delegates: storageTokens{authority, folder},
		Secret:    delegationKey[:],
		Outgoing:  inputs,
		Hosts:     []string{at(c.Host, ports.blob), at(c.Host, ports.blobTLS), at(blobHost, ports.blob), at(blobHost, ports.blobTLS)},
		Log:       log,
	})
	streaming := origin.New(origin.Config{
		Locators: accounts,
		Blobs:    accounts.ClearBlobs(),
		Changes:  db.Changes,
		Observe:  observe(registry),
		Keys:     accounts,

		KeyDelivery: c.KeyDeliveryURL,
		IndexDir:    filepath.Join(c.Data, "cache", "index"),
		AudioDir:    filepath.Join(c.Data, "cache", "audio"),
		AudioDisk:   c.AudioCache << 20,
		Log:         log,
	})
	defer streaming.Close()
	keys := keydelivery.New(keydelivery.Config{
		Keys:      accounts,
		Uses:      accounts,
		Fetch:     dial.New(discoveryDial(outgoing)),
		PlayReady: keydelivery.LicenceServer{URL: c.PlayReadyURL, Header: c.PlayReadyHeaders},
		Widevine:  keydelivery.LicenceServer{URL: c.WidevineURL, Header: c.WidevineHeaders},
		FairPlay:  keydelivery.LicenceServer{URL: c.FairPlayURL, Header: c.FairPlayHeaders},
		Log:       log,
	})
	quiet := func(r *http.Request) bool {
		return r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics"
	}
	server := func(name string, h http.Handler) *http.Server {
		return middleware.NewServer(h, middleware.Config{Name: name, Log: log, Metrics: metrics, Quiet: quiet, ReadTimeout: readTimeout[name], Patience: patience[name]})
	}
	servers := map[net.Listener]*http.Server{
		ports.https:     server("management", management),
		ports.http:      server("management", management),
		ports.blob:      server("blob", storage),
		ports.blobTLS:   server("blob", storage),
		ports.streaming: server("origin", keys.Mount(streaming)),
	}

	// Run.
	working, stopWork := context.WithCancel(ctx)
	defer stopWork()
	background := startAll(working, append(workers(c, "worker", scratch, c.Data, queue, accounts, inputs, tools, hardware, commands, log),
		blobs.Run, events.Run, accounts.Run, accounts.RunIngest)...)
	https, blobTLS := "https://"+at(c.Host, ports.https), "https://"+at(blobHost, ports.blobTLS)
	e := &endpoints{
		Management:           https,
		ManagementHTTP:       "http://" + at(c.Host, ports.http),
		CAFile:               caFile,
		Authority:            https,
		TenantID:             folder.TenantID,
		ClientID:             clientID,
		ClientSecret:         clientSecret,
		ReaderClientID:       readerID,
		ReaderClientSecret:   readerSecret,
		SubscriptionID:       folder.SubscriptionID,
		ResourceGroup:        firstGroup,
		AccountName:          firstAccount,
		Location:             firstLocation,
		V2Endpoint:           https + v2Path,
		ACSEndpoint:          https + "/v2/OAuth2-13",
		AccountKey:           base64.StdEncoding.EncodeToString(accountKey[:]),
		StorageAccountName:   firstStorage,
		BlobEndpoint:         storageURL + "/" + firstStorage,
		BlobEndpointTLS:      blobTLS + "/" + firstStorage,
		StreamingEndpoint:    "http://" + at(c.Host, ports.streaming),
		StreamingEndpointTLS: "https://" + at(c.Host, ports.streaming),
		KeyDeliveryEndpoint:  keyDelivery,
	}
	for _, k := range storageKeys {
		e.StorageKeys = append(e.StorageKeys, base64.StdEncoding.EncodeToString(k))
	}
	go func() {
		// The listeners queue connections from the moment they are open, so the
		// file is true before the first one is accepted.
		if err := e.write(c.Data); err != nil {
			log.Error("endpoints.json was not written", "error", err)
		}
		up.Store(true)
		log.Info("ready", "version", version(), "data", c.Data, "management", e.Management, "blob", e.BlobEndpoint, "streaming", e.StreamingEndpoint)
		ready(e)
	}()
	err = serveHTTP(ctx, log, servers)
	up.Store(false)
	err = errors.Join(err, removeEndpoints(c.Data))
	stopWork()
	err = errors.Join(err, background())
	log.Info("stopped")
	return err
}

// readTimeout bounds how long a request may take to arrive, by listener. Blob
// uploads take what they take; the blob face watches their progress itself.
var readTimeout = map[string]time.Duration{"management": time.Minute, "origin": time.Minute}

// patience bounds how long a client may take for a piece of an answer that lies
// in memory. Those of blobs and of the streaming endpoint lie on disk.
var patience = map[string]time.Duration{"management": 2 * time.Minute}

// observe counts what the streaming endpoint serves, by kind and format.
func observe(reg prometheus.Registerer) func(origin.Observation) {
	labels := []string{"kind", "format", "status"}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "openams_origin_requests_total",
		Help: "Streaming requests answered, by kind (manifest, playlist, init, segment, file), format and status.",
	}, labels)
	sent := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "openams_origin_bytes_total",
		Help: "Bytes of manifests and media sent, by kind and format.",
	}, labels[:2])
	reg.MustRegister(requests, sent)
	return func(o origin.Observation) {
		kind := o.Kind.String()
		requests.WithLabelValues(kind, o.Format, strconv.Itoa(o.Status)).Inc()
		sent.WithLabelValues(kind, o.Format).Add(float64(o.Bytes))
	}
}

const v2Path = "/api/"

// redirect sends those who ask for one of the old hosts of the v2 API, which
// lead here by DNS, to its root as AMS did: by a 301, whatever they ask for.
func redirect(c *config, ports *listeners, all http.Handler) http.Handler {
	root := "https://" + at(c.Host, ports.https) + v2Path
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if slices.ContainsFunc(c.V2RedirectHosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			w.Header().Set("Location", root)
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		all.ServeHTTP(w, r)
	})
}

// mount puts together what the management listener serves.
func mount(up *atomic.Bool, authority *identity.Authority, facts *arm.Facts, v2, metrics, v3 http.Handler) http.Handler {
	tokens, metadata := authority.Handler(), facts.Metadata()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := "/" + strings.ToLower(strings.TrimLeft(r.URL.Path, "/"))
		switch {
		case path == "/livez":
			fmt.Fprintln(w, "ok")
		case path == "/readyz" && up.Load():
			fmt.Fprintln(w, "ok")
		case path == "/readyz":
			http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
		case path == "/metrics":
			metrics.ServeHTTP(w, r)
		case path == "/metadata/endpoints":
			metadata.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/api/"), path == "/api":
			v2.ServeHTTP(w, r)
		case authority.Serves(r.URL.Path):
			tokens.ServeHTTP(w, r)
		default:
			v3.ServeHTTP(w, r)
		}
	})
}

// managementHosts lists every "host:port" of the management listeners: a token
// bought under one name of this server must be good under its others.
func managementHosts(c *config, ports *listeners) (hosts []string) {
	names, ips := hostNames(c)
	for _, ip := range ips {
		names = append(names, ip.String())
	}
	for _, name := range names {
		hosts = append(hosts, at(name, ports.https), at(name, ports.http))
	}
	return hosts
}

// tokenProviders reads oidc-providers of the configuration file.
func tokenProviders(settings []oidcProvider) (all []identity.Provider, err error) {
	for _, p := range settings {
		roles, err := providerRoles(p.Roles)
		if err != nil {
			return nil, fmt.Errorf("oidc-providers: %s: %w", p.Issuer, err)
		}
		all = append(all, identity.Provider{Issuer: p.Issuer, Discovery: p.Discovery, Audiences: p.Audiences, RoleClaim: p.RoleClaim, Roles: roles})
	}
	return all, nil
}

// notifier tells the webhooks of the configuration file.
func notifier(c *config, db *catalog.DB, outgoing dial.Config, reg prometheus.Registerer, log *slog.Logger) (*notify.Notifier, error) {
	n := notify.Config{Origin: c.Host, Dial: outgoing, Metrics: reg, Log: log}
	for _, w := range c.Webhooks {
		n.Targets = append(n.Targets, notify.Target{
			Name: w.Name, URL: w.URL, Schema: notify.Schema(w.Schema), Secret: w.Secret,
			Types: w.Types, Accounts: w.Accounts, Confirm: notify.Confirm(w.Confirm),
		})
	}
	return notify.New(db, n)
}

// discoveryDial bounds what the documents of token issuers may be.
func discoveryDial(c dial.Config) dial.Config {
	c.MaxBytes = 1 << 20
	return c
}

// dialConfig reads --allow-input-host.
func dialConfig(allowed []string) (dial.Config, error) {
	var c dial.Config
	for _, a := range allowed {
		if strings.Contains(a, "/") {
			p, err := netip.ParsePrefix(a)
			if err != nil {
				return c, fmt.Errorf("--allow-input-host: %w", err)
			}
			c.AllowNets = append(c.AllowNets, p)
		} else {
			c.AllowHosts = append(c.AllowHosts, a)
		}
	}
	return c, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}
