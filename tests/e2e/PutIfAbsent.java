import io.delta.storage.LocalLogStore;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;

/** A store of logs as Delta asks for it: of two processes that write one version, one is told that it is there. */
public class PutIfAbsent extends LocalLogStore {
    public PutIfAbsent(Configuration hadoopConf) {
        super(hadoopConf);
    }

    @Override
    public void write(
            org.apache.hadoop.fs.Path path, Iterator<String> actions, Boolean overwrite, Configuration hadoopConf)
            throws IOException {
        if (overwrite) {
            super.write(path, actions, true, hadoopConf);
            return;
        }
        List<String> lines = new ArrayList<>();
        actions.forEachRemaining(lines::add);
        Path target = Paths.get(path.toUri().getPath());
        Path written = target.resolveSibling("." + UUID.randomUUID() + ".tmp");
        Files.createDirectories(target.getParent());
        Files.write(written, lines);
        try {
            Files.createLink(target, written); // which fails where the name is taken
        } catch (FileAlreadyExistsException taken) {
            throw new FileAlreadyExistsException(path.toString());
        } finally {
            Files.delete(written);
        }
    }
}
