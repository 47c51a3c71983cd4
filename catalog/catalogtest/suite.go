// Package catalogtest is the suite that a catalog passes on every database.
// It says nothing about one database's own ways; those tests are beside it.
package catalogtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// Run runs the suite. open gives each test a new, empty catalog whose clock
// is now, and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) *catalog.DB) {
	run(t, open, []test{
		{"RoundTrip", testRoundTrip},
		{"Names", testNames},
		{"Containers", testContainers},
		{"StorageBytes", testStorageBytes},
		{"Cascades", testCascades},
		{"Policies", testPolicies},
		{"Operations", testOperations},
		{"Filters", testFilters},
		{"FilterErrors", testFilterErrors},
		{"Orders", testOrders},
		{"PagesWhileChanging", testPagesWhileChanging},
		{"RandomFilters", testRandomFilters},
		{"LargePages", testLargePages},
		{"Tokens", testTokens},
		{"Search", testSearch},
		{"AssetFiles", testAssetFiles},
		{"V2Locators", testV2Locators},
		{"Rollback", testRollback},
		{"Transact", testTransact},
		{"Jobs", testJobs},
		{"CancelJob", testCancelJob},
		{"Queue", testQueue},
		{"TaskGraph", testTaskGraph},
		{"JobsOfV2", testJobsOfV2},
		{"Watch", testWatch},
		{"Record", testRecord},
		{"Events", testEvents},
		{"Streaming", testStreaming},
		{"ContentKeys", testContentKeys},
		{"AccountKeys", testAccountKeys},
		{"PolicyOptions", testPolicyOptions},
		{"DeliveryPolicies", testDeliveryPolicies},
		{"EndedJobs", testEndedJobs},
		{"Ingest", testIngest},
		{"Reports", testReports},
		{"TokenUses", testTokenUses},
	})
}

// Lists runs the tests of lists alone.
func Lists(t *testing.T, open func(t *testing.T, now func() time.Time) *catalog.DB) {
	run(t, open, []test{
		{"Filters", testFilters},
		{"Orders", testOrders},
		{"PagesWhileChanging", testPagesWhileChanging},
		{"Search", testSearch},
		{"RandomFilters", testRandomFilters},
	})
}

type test struct {
	name string
	run  func(*fixture)
}

func run(t *testing.T, open func(t *testing.T, now func() time.Time) *catalog.DB, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, now: time.Date(2024, 6, 1, 12, 0, 0, 123456700, time.UTC)}
			f.db = open(t, func() time.Time { return f.now })
			f.update(func(tx *catalog.Tx) error { return tx.InsertAccount(f.account("acc1", "media1")) })
			tt.run(f)
		})
	}
}

// A fixture is a catalog with the account acc1, and a clock.
type fixture struct {
	*testing.T
	db  *catalog.DB
	now time.Time
}

func (f *fixture) update(do func(*catalog.Tx) error) {
	f.Helper()
	if err := f.db.Update(f.Context(), do); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) view(do func(*catalog.Tx) error) {
	f.Helper()
	if err := f.db.View(f.Context(), do); err != nil {
		f.Fatal(err)
	}
}

// refused checks that do fails with the code.
func (f *fixture) refused(code ams.Code, do func(*catalog.Tx) error) {
	f.Helper()
	if err := f.db.Update(f.Context(), do); err == nil || ams.CodeOf(err) != code {
		f.Errorf("got %v (code %v), want code %v", err, ams.CodeOf(err), code)
	}
}

func (f *fixture) account(id, name string) *ams.Account {
	return &ams.Account{ID: id, Name: name, SubscriptionID: "sub", ResourceGroup: "rg", Created: f.now, LastModified: f.now,
		Location: "here", Tags: map[string]string{"a": "b<&>"}, Storage: []ams.AccountStorage{{Name: "store1", Primary: true}}, CreatedBy: "me"}
}

func (f *fixture) asset(account, name string) *ams.Asset {
	id := strings.ToLower(account + "-" + name) // ids are given in lower case
	return &ams.Asset{Account: account, Name: name, ID: id, Label: "my.label", AlternateID: "alt " + name, Description: "d'é",
		StorageAccount: "store1", Container: "asset-" + id, Format: ams.NotEncrypted, Created: f.now, LastModified: f.now.Add(1), CreatedBy: "me", LastModifiedBy: "you"}
}

func (f *fixture) transform(name string) *ams.Transform {
	return &ams.Transform{Account: "acc1", Name: name, Description: "d", Created: f.now, LastModified: f.now, Outputs: []ams.TransformOutput{
		{Preset: ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}, OnError: ams.StopProcessingJob, RelativePriority: ams.High}}}
}

func (f *fixture) job(transform, name string, tasks ...ams.Task) *ams.Job {
	j := &ams.Job{Account: "acc1", Transform: transform, Name: name, ID: strings.ToLower("job-" + transform + name), Description: "d", Priority: ams.Normal,
		Input: ams.JobInput{Kind: ams.InputAsset, Asset: "in", Files: []string{"a.mp4"}}, Correlation: map[string]string{"k": "v"}, Created: f.now, LastModified: f.now}
	for i, t := range tasks {
		t.ID, t.Index, t.State = fmt.Sprintf("%s-%d", j.ID, i), i, ams.Queued
		t.Label, t.Asset = fmt.Sprintf("p_%d", i), fmt.Sprintf("out%d", i)
		t.Preset = ams.Preset{Type: ams.BuiltIn, Body: []byte(`{"presetName":"AdaptiveStreaming"}`)}
		j.Tasks = append(j.Tasks, t)
	}
	if len(tasks) > 0 {
		j.State = ams.Queued
	}
	return j
}

func (f *fixture) locator(name, asset string) *ams.StreamingLocator {
	return &ams.StreamingLocator{Account: "acc1", Name: name, ID: strings.ToLower("loc-" + name), Asset: asset, Policy: "Predefined_ClearStreamingOnly",
		End: ams.Never, Created: f.now, Filters: []string{"f1"}, ContentKeyPolicy: "p", AlternativeMedia: "x", CreatedBy: "me"}
}

func (f *fixture) endpoint(name string) *ams.StreamingEndpoint {
	return &ams.StreamingEndpoint{Account: "acc1", Name: name, ID: "ep-" + name, HostName: name + ".h:1", State: ams.EndpointStopped, ScaleUnits: 2,
		Location: "here", Tags: map[string]string{"a": "b"}, Description: "d", Created: f.now, LastModified: f.now, CreatedBy: "me", LastModifiedBy: "you"}
}

// same compares what was written with what was read.
func (f *fixture) same(want, got any) {
	f.Helper()
	if d := cmp.Diff(want, got); d != "" {
		f.Errorf("read back (-want +got):\n%s", d)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func testRoundTrip(f *fixture) {
	asset, transform, locator, endpoint := f.asset("acc1", "Été 1"), f.transform("T"), f.locator("L", "Été 1"), f.endpoint("default")
	job := f.job("T", "J", ams.Task{OnError: ams.ContinueJob, Priority: ams.High, Override: true}, ams.Task{OnError: ams.StopProcessingJob, Priority: ams.Low})
	policy := &ams.StreamingPolicy{Account: "acc1", Name: "P", ContentKeyPolicy: "k", Created: f.now, CreatedBy: "me",
		Protocols: map[ams.Scheme][]ams.Protocol{ams.CENC: {ams.DASH}}, Body: []byte(`{"x":[1,2]}`)}
	storage := &ams.StorageAccount{Name: "store1", Keys: [2][]byte{[]byte("one"), []byte("twotwo")}, Created: f.now}
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertStorageAccount(storage), tx.InsertAsset(asset), tx.InsertTransform(transform),
			tx.InsertLocator(locator), tx.InsertEndpoint(endpoint), tx.InsertJob(job), tx.InsertPolicy(policy)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	asset.LastModified = asset.LastModified.Truncate(100) // kept to 100 ns
	check := func() {
		f.Helper()
		f.view(func(tx *catalog.Tx) error {
			f.same(f.account("acc1", "media1"), must(tx.Account("MEDIA1")))
			f.same(f.account("acc1", "media1"), must(tx.AccountByID("acc1")))
			f.same(storage, must(tx.StorageAccount("Store1")))
			f.same(asset, must(tx.Asset("acc1", "ÉTÉ 1")))
			f.same(asset, must(tx.AssetByID("acc1", asset.ID)))
			f.same(asset, must(tx.AssetByContainer("store1", asset.Container)))
			f.same(transform, must(tx.Transform("acc1", "t")))
			f.same(job, must(tx.Job("acc1", "t", "j")))
			f.same(job, must(tx.JobByID(job.ID)))
			f.same(locator, must(tx.Locator("acc1", "l")))
			f.same(locator, must(tx.LocatorByID("LOC-l")))
			f.same([]*ams.StreamingLocator{locator}, must(tx.AssetLocators("acc1", "été 1")))
			f.same(policy, must(tx.Policy("acc1", "p")))
			f.same(endpoint, must(tx.Endpoint("acc1", "Default")))
			return nil
		})
	}
	check()

	asset.Description, asset.AlternateID = "", "new"
	transform.Outputs[0].OnError = ams.ContinueJob
	endpoint.State, endpoint.Tags = ams.EndpointRunning, nil
	storage.Keys[1] = []byte("three")
	job.Description, job.Priority, job.Correlation = "new", ams.High, nil
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.UpdateAsset(asset), tx.UpdateTransform(transform), tx.UpdateEndpoint(endpoint), tx.UpdateStorageAccount(storage), tx.UpdateJob(job)} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	check()
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.UpdateAsset(f.asset("acc1", "none")) })
}

func testNames(f *fixture) {
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertAsset(f.asset("acc1", "Straße K")), tx.InsertTransform(f.transform("T")), tx.InsertTransform(f.transform("U")),
			tx.InsertJob(f.job("T", "j")), tx.InsertJob(f.job("u", "j")), tx.InsertLocator(f.locator("L", "x"))} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	// The Kelvin sign folds to k; ß does not fold to ss in simple folding.
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertAsset(f.asset("acc1", "STRAßE \u212a")) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertTransform(f.transform("t")) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertJob(f.job("t", "J")) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertLocator(f.locator("l", "x")) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error { return tx.InsertAccount(f.account("acc2", "MEDIA1")) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.InsertJob(f.job("V", "J")) })
	sameID := f.locator("other", "x")
	sameID.ID = "loc-l"
	f.refused(ams.Exists, func(tx *catalog.Tx) error {
		err := tx.InsertLocator(sameID)
		if e, ok := err.(*ams.Error); !ok || e.Target != "properties.streamingLocatorId" {
			f.Errorf("%v does not blame the id", err)
		}
		return err
	})
	// Another account has names of its own.
	f.update(func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(f.account("acc2", "media2")); err != nil {
			return err
		}
		return tx.InsertAsset(f.asset("acc2", "straße k"))
	})
	f.view(func(tx *catalog.Tx) error {
		if a := must(tx.Asset("acc1", "STRAßE k")); a.Name != "Straße K" {
			f.Errorf("casing of the creator lost: %q", a.Name)
		}
		if a := must(tx.Asset("acc2", "STRAßE K")); a.Account != "acc2" {
			f.Errorf("asset of account %s", a.Account)
		}
		return nil
	})
}

func testContainers(f *fixture) {
	a, b := f.asset("acc1", "a"), f.asset("acc1", "b")
	b.Container = a.Container
	f.update(func(tx *catalog.Tx) error { return tx.InsertAsset(a) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error {
		err := tx.InsertAsset(b)
		if e, ok := err.(*ams.Error); !ok || e.Target != "properties.container" {
			f.Errorf("%v does not blame the container", err)
		}
		return err
	})
	b.StorageAccount = "store2"
	f.update(func(tx *catalog.Tx) error { return tx.InsertAsset(b) })
}

func testStorageBytes(f *fixture) {
	sizes := func(want map[string]int64) {
		f.Helper()
		f.view(func(tx *catalog.Tx) error {
			for account, n := range want {
				if got := must(tx.StorageBytes(account)); got != n {
					f.Errorf("%s has %d bytes, want %d", account, got, n)
				}
			}
			return nil
		})
	}
	sizes(map[string]int64{"store1": 0})
	for _, c := range []string{"store1/a", "store1/b", "store2/a"} {
		account, container, _ := strings.Cut(c, "/")
		if err := f.db.CreateContainer(f.Context(), &ams.Container{StorageAccount: account, Name: container, Created: f.now, LastModified: f.now}); err != nil {
			f.Fatal(err)
		}
		for i, size := range []int64{1 << 52, 5, 0} {
			b := &ams.Blob{StorageAccount: account, Container: container, Name: fmt.Sprint(i), Size: size, Created: f.now, LastModified: f.now}
			if err := f.db.PutBlob(f.Context(), account, container, b.Name, func(*ams.Blob, []ams.Block) (*ams.Blob, error) { return b, nil }); err != nil {
				f.Fatal(err)
			}
		}
	}
	sizes(map[string]int64{"store1": 2 * (1<<52 + 5), "store2": 1<<52 + 5, "store3": 0})
	if _, err := f.db.DeleteContainer(f.Context(), "store1", "a", func(*ams.Container) error { return nil }); err != nil {
		f.Fatal(err)
	}
	sizes(map[string]int64{"store1": 1<<52 + 5})
}

func testCascades(f *fixture) {
	f.update(func(tx *catalog.Tx) error {
		for _, err := range []error{tx.InsertAsset(f.asset("acc1", "a")), tx.InsertAsset(f.asset("acc1", "b")),
			tx.InsertLocator(f.locator("la", "A")), tx.InsertLocator(f.locator("lb", "b")),
			tx.InsertTransform(f.transform("t")), tx.InsertTransform(f.transform("u")),
			tx.InsertJob(f.job("T", "j", ams.Task{})), tx.InsertJob(f.job("u", "j", ams.Task{}))} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error {
		if err := tx.DeleteAsset("acc1", "A"); err != nil {
			return err
		}
		return tx.DeleteTransform("acc1", "T")
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { return tx.DeleteAsset("acc1", "a") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Locator("acc1", "la"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.JobByID("job-tj"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.TaskRecord("job-tj-0"); return err })
	f.view(func(tx *catalog.Tx) error {
		must(tx.Locator("acc1", "lb"))
		must(tx.JobByID("job-uj"))
		return nil
	})
	f.update(func(tx *catalog.Tx) error {
		if err := tx.InsertPolicy(&ams.StreamingPolicy{Account: "acc1", Name: "p"}); err != nil {
			return err
		}
		return tx.DeleteAccount("acc1")
	})
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Asset("acc1", "b"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.TaskRecord("job-uj-0"); return err })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Policy("acc1", "p"); return err })
	f.view(func(tx *catalog.Tx) error {
		must(tx.Policy("acc1", "predefined_clearkey"))
		return nil
	})
}

func testPolicies(f *fixture) {
	f.update(func(tx *catalog.Tx) error {
		return tx.InsertPolicy(&ams.StreamingPolicy{Account: "acc1", Name: "mine", Created: f.now})
	})
	f.refused(ams.Exists, func(tx *catalog.Tx) error {
		return tx.InsertPolicy(&ams.StreamingPolicy{Account: "acc1", Name: "predefined_CLEARKEY"})
	})
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { return tx.DeletePolicy("acc1", "Predefined_ClearKey") })
	f.view(func(tx *catalog.Tx) error {
		list, _, err := tx.Policies("acc1", catalog.Query{})
		if len(list) != 7 || list[0].Name != "mine" || list[0].Account != "acc1" || list[1].Account != "" {
			f.Errorf("policies: %v", list)
		}
		for _, want := range ams.PredefinedPolicies() {
			f.same(want, must(tx.Policy("acc1", want.Name)))
		}
		return err
	})
	f.update(func(tx *catalog.Tx) error {
		l := f.locator("l", "a")
		l.Policy = "MINE"
		return tx.InsertLocator(l)
	})
	f.refused(ams.Conflict, func(tx *catalog.Tx) error { return tx.DeletePolicy("acc1", "mine") })
	f.update(func(tx *catalog.Tx) error {
		if err := tx.DeleteLocator("acc1", "l"); err != nil {
			return err
		}
		return tx.DeletePolicy("acc1", "Mine")
	})
}

func testOperations(f *fixture) {
	op := &ams.Operation{ID: "op1", Account: "acc1", Kind: "streamingendpointoperations", Resource: "/Sub/X", Status: ams.OperationInProgress, Created: f.now}
	f.update(func(tx *catalog.Tx) error { return tx.InsertOperation(op) })
	f.view(func(tx *catalog.Tx) error {
		f.same(op, must(tx.Operation("acc1", "OP1")))
		f.same([]*ams.Operation{op}, must(tx.PendingOperations("/sub/x")))
		f.same([]*ams.Operation{op}, must(tx.PendingOperations("")))
		return nil
	})
	op.Status, op.Ended, op.Code = ams.OperationFailed, f.now.Add(time.Second), "Bad"
	f.update(func(tx *catalog.Tx) error {
		if err := tx.UpdateOperation(op); err != nil {
			return err
		}
		return tx.DeleteOperations(op.Ended) // not yet
	})
	f.view(func(tx *catalog.Tx) error {
		f.same(op, must(tx.Operation("acc1", "op1")))
		f.same([]*ams.Operation(nil), must(tx.PendingOperations("")))
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteOperations(op.Ended.Add(1000)) })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Operation("acc1", "op1"); return err })
}

func testRollback(f *fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	err := f.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.InsertAsset(f.asset("acc1", "a")); err != nil {
			return err
		}
		return ams.Errorf(ams.Limit, "enough")
	})
	if ams.CodeOf(err) != ams.Limit {
		f.Error(err)
	}
	err = f.db.Update(ctx, func(tx *catalog.Tx) error {
		err := tx.InsertAsset(f.asset("acc1", "a"))
		cancel()
		return err
	})
	if err == nil {
		f.Error("a transaction committed after its context ended")
	}
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.Asset("acc1", "a"); return err })
	before := f.db.Changes()
	f.update(func(tx *catalog.Tx) error { return tx.InsertAsset(f.asset("acc1", "a")) })
	if f.db.Changes() == before {
		f.Error("an update does not count as a change")
	}
}
