import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Who takes part in a course, and who waits for a place. */
public final class Roster {
    private final int places;
    private final Set<Member> members = new LinkedHashSet<>();
    private final Set<Member> waiting = new LinkedHashSet<>();

    public Roster(int places) {
        this.places = places;
    }

    /** Gives a place, or one in the queue. False if the member has one already. */
    public boolean signUp(Member member) {
        if (members.contains(member) || waiting.contains(member)) {
            return false;
        }
        return members.size() < places ? members.add(member) : waiting.add(member);
    }

    /** Takes a member off; whoever waits longest moves up. False if there is no such member. */
    public boolean cancel(Member member) {
        if (waiting.remove(member)) {
            return true;
        }
        if (!members.remove(member)) {
            return false;
        }
        if (!waiting.isEmpty()) {
            Member next = waiting.iterator().next();
            waiting.remove(next);
            members.add(next);
        }
        return true;
    }

    public List<Member> members() {
        return new ArrayList<>(members);
    }

    public List<Member> waiting() {
        return new ArrayList<>(waiting);
    }
}
