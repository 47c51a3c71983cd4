package catalogtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/filter"
)

// What v2 keeps beside jobs, and how it finds jobs and tasks of both APIs.
func testJobsOfV2(f *fixture) {
	v2 := f.job("", "g", ams.Task{Spec: &ams.TaskSpec{Name: "first", Processor: "p1", Configuration: "c", Body: "<x/>", KeyID: "k"}, Inputs: []string{"in"},
		Outputs: []ams.TaskOutput{{Index: 3, Asset: "out"}}, Rank: -5, Subscriptions: []ams.Subscription{{Endpoint: "e", States: ams.AllStates, Progress: true}}},
		ams.Task{Spec: &ams.TaskSpec{Name: "kept", Processor: "p1", Options: ams.DoNotDeleteOutputAssetOnFailure}})
	v2.Label, v2.Rank, v2.Template, v2.Subscriptions = "My job", 1<<31-1, "template", []ams.Subscription{{Endpoint: "e"}}
	f.queue(v2, f.job("t", "of-v3", ams.Task{}))
	f.view(func(tx *catalog.Tx) error {
		got := must(tx.JobByID(v2.ID))
		for i := range got.Tasks {
			got.Tasks[i].Events = nil
			v2.Tasks[i].Events = nil
		}
		f.same(v2, got)
		return nil
	})
	search := func(text string, order ...filter.Order) catalog.Search {
		return catalog.Search{Filter: must(filter.Parse(text)), Orders: order, Top: 10, Count: true}
	}
	f.update(func(tx *catalog.Tx) error { // both of v2 fail
		for _, id := range []string{"job-g-0", "job-g-1"} {
			for _, s := range []ams.JobState{ams.Processing, ams.Failed} {
				r := must(tx.TaskRecord(id))
				r.State = s
				if err := tx.SaveTask(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	f.view(func(tx *catalog.Tx) error {
		for text, want := range map[string]string{
			"": "job-g job-tof-v3", "Name eq 'My job'": "job-g", "Name eq 'of-v3' and Priority eq 0": "job-tof-v3", "Priority gt 100": "job-g",
			"State eq 4": "job-g", "State eq 0": "job-tof-v3", "Id eq 'nb:jid:UUID:JOB-G'": "job-g", "TemplateId eq 'nb:jtid:UUID:template'": "job-g",
			"EndTime eq null": "job-tof-v3", "State lt 0": "",
		} {
			found := must(tx.FindJobs("acc1", search(text)))
			var ids []string
			for _, j := range found.Rows {
				ids = append(ids, j.ID)
			}
			if got := strings.Join(ids, " "); got != want || int(found.Count) != len(ids) {
				f.Errorf("jobs with %q: %s (%d), want %s", text, got, found.Count, want)
			}
		}
		for text, want := range map[string]string{
			"": "kept first p_0", "Name eq 'first'": "first", "State eq 4 and Progress eq 0": "kept first", "State eq 0": "p_0",
			"MediaProcessorId eq 'nb:mpid:UUID:p1'": "kept first", "Priority eq -5": "first",
			"Options eq 2": "kept", "Options lt 1": "first p_0", "EncryptionKeyId eq 'k'": "first", "EncryptionScheme eq null and EncryptionVersion eq '' and length(InitializationVector) eq 0": "kept first p_0",
		} {
			found := must(tx.FindTasks("acc1", search(text, filter.Order{Field: "Id", Desc: true})))
			var names []string
			for _, t := range found.Rows {
				names = append([]string{t.V2Name()}, names...)
			}
			got, order := strings.Join(names, " "), strings.Split(want, " ")
			for _, n := range order {
				if !strings.Contains(got, n) || len(names) != len(order) {
					f.Errorf("tasks with %q: %s, want %s", text, got, want)
				}
			}
		}
		if found := must(tx.FindJobs("acc2", search(""))); found.Count != 0 {
			f.Errorf("%d jobs of another account", found.Count)
		}
		if litter := must(tx.Litter(10)); len(litter) != 2 || litter[0].ID != "job-g-0" || litter[0].Account() != "acc1" {
			f.Errorf("litter %+v", litter)
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.Swept(must(tx.TaskRecord("job-g-0"))) })
	f.view(func(tx *catalog.Tx) error {
		if litter := must(tx.Litter(10)); len(litter) != 1 {
			f.Errorf("litter %+v", litter)
		}
		return nil
	})

	template := &ams.JobTemplate{Account: "acc1", ID: "jt", Name: "n", Body: "<b/>", Kind: 1, Inputs: 2, Created: f.now, LastModified: f.now}
	for i := range 2 {
		template.Tasks = append(template.Tasks, ams.TaskTemplate{Account: "acc1", ID: fmt.Sprintf("tt%d", i), Template: "jt", Index: i, Description: "d",
			Spec: ams.TaskSpec{Name: "a", Processor: "p", Configuration: "c", Options: 1, KeyID: "k", Scheme: "s", Version: "v", IV: "i"}, Inputs: 1, Outputs: 2, Created: f.now, LastModified: f.now})
	}
	f.update(func(tx *catalog.Tx) error { return tx.InsertJobTemplate(template) })
	f.refused(ams.Exists, func(tx *catalog.Tx) error {
		other := *template
		other.ID = "jt2"
		return tx.InsertJobTemplate(&other) // with the ids of the first's task templates
	})
	f.view(func(tx *catalog.Tx) error {
		f.same(template, must(tx.JobTemplate("acc1", "JT")))
		f.same(&template.Tasks[1], must(tx.TaskTemplate("acc1", "tt1")))
		if found := must(tx.FindTaskTemplates("acc1", search("NumberofOutputAssets eq 2 and Name eq 'a' and Configuration eq 'c' and EncryptionKeyId eq 'k' and EncryptionScheme eq 's' and EncryptionVersion eq 'v' and InitializationVector eq 'i'", filter.Order{Field: "Configuration"}))); len(found.Rows) != 2 {
			f.Errorf("%d task templates", len(found.Rows))
		}
		if found := must(tx.FindJobTemplates("acc1", search("TemplateType eq 1 and JobTemplateBody eq '<b/>'"))); len(found.Rows) != 1 {
			f.Errorf("%d job templates", len(found.Rows))
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteJobTemplate("acc1", "jt") })
	f.refused(ams.NotFound, func(tx *catalog.Tx) error { _, err := tx.TaskTemplate("acc1", "tt1"); return err })

	e := &ams.NotificationEndpoint{Account: "acc1", ID: "ep", Name: "n", Kind: ams.WebhookEndpoint, Address: "https://h/x?code=secret", CredentialType: 1, Key: []byte("key"), ProtectionKey: "p", Created: f.now}
	f.update(func(tx *catalog.Tx) error { return tx.InsertNotificationEndpoint(e) })
	f.update(func(tx *catalog.Tx) error { return tx.RenameNotificationEndpoint("acc1", "EP", "new") })
	f.view(func(tx *catalog.Tx) error {
		want := *e
		want.Name = "new"
		f.same(&want, must(tx.NotificationEndpoint("acc1", "ep")))
		if found := must(tx.FindNotificationEndpoints("acc1", search("EndPointType eq 3"))); len(found.Rows) != 1 {
			f.Errorf("%d endpoints", len(found.Rows))
		}
		if must(tx.HasEventTargets()) || !must(tx.HasEndpointTargets()) || !must(tx.HasTarget(catalog.EndpointTarget("acc1", "ep"))) || len(must(tx.EventTargets())) != 0 {
			f.Error("the endpoint's target is one of the configuration")
		}
		return nil
	})
	// What waits for an endpoint goes with it.
	f.update(func(tx *catalog.Tx) error {
		event := &catalog.Event{ID: "ev", Account: "acc1", Lane: "l", Type: "t", To: catalog.EndpointTarget("acc1", "ep"), Time: f.now}
		if err := tx.InsertEvent(event); err != nil {
			return err
		}
		_, err := tx.EnsureDelivery(&catalog.Delivery{Event: event, Target: event.To, State: catalog.DeliveryWaiting, Due: f.now, Expires: f.now.Add(time.Hour)})
		return err
	})
	f.view(func(tx *catalog.Tx) error {
		if names := must(tx.WaitingEndpoints()); len(names) != 1 || must(tx.Event("ev")).To != names[0] {
			f.Errorf("waiting: %q", names)
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error { return tx.DeleteAccount("acc1") })
	f.view(func(tx *catalog.Tx) error {
		if names := must(tx.WaitingEndpoints()); len(names) != 0 || must(tx.HasEndpointTargets()) {
			f.Errorf("waiting: %q", names)
		}
		return nil
	})
}
