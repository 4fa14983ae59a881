// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const folder = "../../cmd/caddy/container"

// TestKubernetes protects who applies kubernetes.yaml: every field is one that
// Kubernetes knows, what refers to something finds it, and the pods are as the page on
// containers promises.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	documents := map[string]any{"Deployment": &deployment, "Service": &service, "PodDisruptionBudget": &budget}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		into, ok := documents[kind.Kind]
		if !ok {
			t.Fatalf("kind %q is there twice, or is not checked", kind.Kind)
		}
		delete(documents, kind.Kind)
		if err := yaml.UnmarshalStrict(document, into); err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
	}
	if len(documents) > 0 {
		t.Fatalf("missing: %v", documents)
	}
	pod := deployment.Spec.Template
	for name, selector := range map[string]map[string]string{
		"deployment": deployment.Spec.Selector.MatchLabels, "service": service.Spec.Selector, "budget": budget.Spec.Selector.MatchLabels,
	} {
		for label, value := range selector {
			if pod.Labels[label] != value {
				t.Errorf("%s selects %s=%s, the pods have %q", name, label, value, pod.Labels[label])
			}
		}
		if len(selector) == 0 {
			t.Errorf("%s selects nothing", name)
		}
	}
	caddy := pod.Spec.Containers[0]
	ports := map[string]bool{}
	for _, p := range caddy.Ports {
		ports[p.Name] = true
	}
	for name, probe := range map[string]*corev1.Probe{"startup": caddy.StartupProbe, "readiness": caddy.ReadinessProbe, "liveness": caddy.LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || !ports[probe.HTTPGet.Port.StrVal] {
			t.Errorf("%s probe: %+v", name, probe)
		}
	}
	if to := service.Spec.Ports[0].TargetPort.StrVal; !ports[to] {
		t.Errorf("the service leads to port %q", to)
	}
	// A pod that ends is still sent requests, and then those under way take up to grace_period.
	if caddy.Lifecycle == nil || caddy.Lifecycle.PreStop == nil || caddy.Lifecycle.PreStop.Sleep == nil || caddy.Lifecycle.PreStop.Sleep.Seconds < 5 {
		t.Errorf("a pod closes its ports before nodes send their requests elsewhere: %+v", caddy.Lifecycle)
	} else if *pod.Spec.TerminationGracePeriodSeconds < caddy.Lifecycle.PreStop.Sleep.Seconds+30 {
		t.Error("a pod is killed before Caddy's grace_period is over")
	}
	volumes := map[string]corev1.Volume{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = v
	}
	for _, mount := range caddy.VolumeMounts {
		if _, ok := volumes[mount.Name]; !ok {
			t.Errorf("%s mounts %q, which is no volume", mount.MountPath, mount.Name)
		}
	}
	secrets := volumes["secrets"].Secret
	if secrets == nil || secrets.DefaultMode == nil || *secrets.DefaultMode != 0o440 || *pod.Spec.SecurityContext.FSGroup != *pod.Spec.SecurityContext.RunAsUser {
		t.Errorf("secrets: %+v, %+v", secrets, pod.Spec.SecurityContext)
	}
	if !*pod.Spec.SecurityContext.RunAsNonRoot || !*caddy.SecurityContext.ReadOnlyRootFilesystem || *caddy.SecurityContext.AllowPrivilegeEscalation || *pod.Spec.AutomountServiceAccountToken {
		t.Error("a pod may do more than it needs")
	}
	if budget.Spec.MinAvailable.IntValue() >= int(*deployment.Spec.Replicas) {
		t.Error("the budget lets no node be drained")
	}
}
